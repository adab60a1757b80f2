//! Formats as people know them from nginx: text with `$name` in it. Also `${name}`, `${request_header.NAME}`,
//! `${response_header.NAME}`, and `$$` for a dollar.

use swapgate_plugin::header;

use crate::field::{Field, Piece, Shown};

/// Names of nginx that people will try first, and what they are called here.
const ELSEWHERE: [(&str, &str); 19] = [
    ("remote_addr", "$client"),
    ("remote_user", "$consumer"),
    ("time_local", "$time"),
    ("time_iso8601", "$time"),
    ("request", "$method $path"),
    ("request_uri", "$path and $query"),
    ("uri", "$path"),
    ("args", "$query"),
    ("request_method", "$method"),
    ("server_protocol", "$protocol"),
    ("ssl_protocol", "$tls_version"),
    ("ssl_server_name", "$sni"),
    ("ssl_client_s_dn", "$client_subject"),
    ("request_time", "$duration_ms"),
    ("request_length", "$request_bytes"),
    ("body_bytes_sent", "$response_bytes"),
    ("bytes_sent", "$response_bytes"),
    ("upstream_addr", "$target"),
    ("upstream_response_time", "$upstream_ms"),
];

/// Takes a format apart.
///
/// # Errors
///
/// What is wrong with it, and what to write instead.
pub fn parse(format: &str, is_masked: impl Fn(&str) -> bool) -> Result<Vec<Piece>, String> {
    if let Some(control) = format.chars().find(|c| c.is_control()) {
        return Err(format!(
            "has the control character {control:?} in it: a line is one line, so leave it out"
        ));
    }
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            text.push('$');
            rest = after;
            continue;
        }
        let (name, after) = name(after)?;
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(piece(name, &is_masked)?);
        rest = after;
    }
    if pieces.is_empty() {
        return Err(
            "names nothing to log: write json, or a text with names such as $time and $status in it"
                .to_owned(),
        );
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

/// The name at the beginning, and what comes after it.
fn name(text: &str) -> Result<(&str, &str), String> {
    if let Some(inside) = text.strip_prefix('{') {
        return inside.split_once('}').ok_or_else(|| {
            format!(
                "has a ${{ without its }} before \"{inside}\": add it, or write $$ for a dollar"
            )
        });
    }
    let belongs = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    if end == 0 {
        return Err("has a $ without a name: write $$ for a dollar".to_owned());
    }
    Ok(text.split_at(end))
}

fn piece(name: &str, is_masked: impl Fn(&str) -> bool) -> Result<Piece, String> {
    if let Some(field) = Field::of(name) {
        return Ok(Piece::Field(field));
    }
    let header = |header: &str| {
        let name = header.to_ascii_lowercase();
        if !header::is_token(&name) {
            return Err(format!(
                "names ${{{name}}}, which is no header: use letters, digits and dashes"
            ));
        }
        let masked = is_masked(&name);
        Ok(Shown { name, masked })
    };
    match name.split_once('.') {
        Some(("request_header", name)) => Ok(Piece::RequestHeader(header(name)?)),
        Some(("response_header", name)) => Ok(Piece::ResponseHeader(header(name)?)),
        _ => Err(unknown(name)),
    }
}

fn unknown(name: &str) -> String {
    let begin = format!("names ${name}, which is unknown");
    let elsewhere = ELSEWHERE.iter().find(|(known, _)| *known == name);
    if let Some((_, here)) = elsewhere {
        return format!("{begin}: here it is {here}");
    }
    let of_header = |prefix| Some(name.strip_prefix(prefix)?.replace('_', "-"));
    if let Some(header) = of_header("sent_http_") {
        return format!("{begin}: here it is ${{response_header.{header}}}");
    }
    if let Some(header) = of_header("http_") {
        return format!("{begin}: here it is ${{request_header.{header}}}");
    }
    let near = Field::ALL
        .iter()
        .map(|(known, _)| (strsim::damerau_levenshtein(name, known), *known))
        .min();
    match near {
        Some((distance, known)) if distance <= 3 && distance < name.len() => {
            format!("{begin}: did you mean ${known}?")
        }
        _ => {
            let names: Vec<_> = Field::ALL.iter().map(|(name, _)| *name).collect();
            let names = names.join(", ");
            format!(
                "{begin}: there are {names}, ${{request_header.NAME}} and ${{response_header.NAME}}"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::field::{Field, Piece, Shown};

    #[track_caller]
    fn refused(format: &str, expected: &str) {
        let found = parse(format, |_| false).unwrap_err();
        assert!(found.contains(expected), "{found}");
    }

    #[test]
    fn names_stand_in_text() {
        let shown = |name: &str, masked| Shown {
            name: name.to_owned(),
            masked,
        };
        let format = "$$1 $client - ${status}x ${request_header.X-A}${response_header.cookie}.";
        let expected = [
            Piece::Text("$1 ".to_owned()),
            Piece::Field(Field::Client),
            Piece::Text(" - ".to_owned()),
            Piece::Field(Field::Status),
            Piece::Text("x ".to_owned()),
            Piece::RequestHeader(shown("x-a", false)),
            Piece::ResponseHeader(shown("cookie", true)),
            Piece::Text(".".to_owned()),
        ];
        assert_eq!(parse(format, |name| name == "cookie").unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_says_what_to_write() {
        refused(
            "$statsu",
            "names $statsu, which is unknown: did you mean $status?",
        );
        refused("$remote_addr", "here it is $client");
        refused("$http_x_tenant", "here it is ${request_header.x-tenant}");
        refused("$sent_http_etag", "here it is ${response_header.etag}");
        refused("$something_else", "there are time, request_id,");
        refused("${status", "without its }");
        refused("cost: 5$", "write $$ for a dollar");
        refused("${request_header.a b}", "which is no header");
        refused("$status\n", "control character '\\n'");
        refused("jsn", "names nothing to log");
        refused("", "names nothing to log");
    }
}
