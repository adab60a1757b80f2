//! Which headers of clients count: names with an underscore, and names that say who a client is.
//!
//! What is taken out here is gone before any plugin, any condition of a route and any upstream can see it. Names are compared
//! as servers read them that hand headers on as variables (CGI, RFC 3875, 4.1.18): there `x_user_id` is `x-user-id`.

use http::{HeaderMap, HeaderName};
use smallvec::SmallVec;

/// Which headers of clients count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientHeaders {
    /// What becomes of names with an underscore.
    pub underscores: Underscores,
    /// Names that only the gateway and its plugins may set.
    pub identity: Vec<Identity>,
}

/// What becomes of headers with an underscore in their name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Underscores {
    /// They are taken out.
    #[default]
    Drop,
    /// The request is answered with 400.
    Reject,
    /// They are forwarded.
    Allow,
}

/// Names of headers that say who a client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// This one.
    Name(HeaderName),
    /// All that begin so, in lower case.
    Prefix(Box<str>),
}

/// Takes out what only the gateway and its plugins may set. Costs nothing where nothing is named.
pub fn take_identity(headers: &mut HeaderMap, rules: &ClientHeaders) {
    if !rules.identity.is_empty() {
        take(headers, |name| is_identity(name, &rules.identity));
    }
}

/// Takes out names with an underscore, where there are any, unless they are forwarded. Says whether the request is one to refuse
/// because of them.
pub fn take_underscores(headers: &mut HeaderMap, there_are: bool, rules: &ClientHeaders) -> bool {
    if !there_are || rules.underscores == Underscores::Allow {
        return false;
    }
    take(headers, has_underscore);
    rules.underscores == Underscores::Reject
}

/// The same for the fields behind a body, which come when the request is under way: what would be refused is taken out.
pub fn clean_trailers(trailers: &mut HeaderMap, rules: &ClientHeaders) {
    take_identity(trailers, rules);
    let there_are = trailers.keys().any(|name| has_underscore(name.as_str()));
    take_underscores(trailers, there_are, rules);
}

/// Whether a name has an underscore.
#[must_use]
pub fn has_underscore(name: &str) -> bool {
    name.as_bytes().contains(&b'_')
}

fn take(headers: &mut HeaderMap, is_taken: impl Fn(&str) -> bool) {
    let mut found: SmallVec<[HeaderName; 4]> = SmallVec::new();
    let taken = headers.keys().filter(|name| is_taken(name.as_str()));
    found.extend(taken.cloned());
    for name in found {
        headers.remove(name);
    }
}

fn is_identity(name: &str, identity: &[Identity]) -> bool {
    identity.iter().any(|one| match one {
        Identity::Name(own) => own.as_str().len() == name.len() && begins(name, own.as_str()),
        Identity::Prefix(prefix) => begins(name, prefix),
    })
}

/// Whether a name begins so, as those read it for whom an underscore is a hyphen. Both are in lower case.
fn begins(name: &str, prefix: &str) -> bool {
    let hyphen = |byte: u8| if byte == b'_' { b'-' } else { byte };
    let mut bytes = name.bytes().map(hyphen);
    prefix
        .bytes()
        .map(hyphen)
        .all(|wanted| bytes.next() == Some(wanted))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn rules(underscores: Underscores, identity: &[&str]) -> ClientHeaders {
        let one = |text: &&str| match text.strip_suffix('*') {
            Some(prefix) => Identity::Prefix(prefix.into()),
            None => Identity::Name(text.parse().unwrap()),
        };
        ClientHeaders {
            underscores,
            identity: identity.iter().map(one).collect(),
        }
    }

    #[track_caller]
    fn check(rules: &ClientHeaders, names: &[&str], left: &[&str], refused: bool) {
        let mut headers = HeaderMap::new();
        for name in names {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_static("1"));
        }
        let mut trailers = headers.clone();
        take_identity(&mut headers, rules);
        let there_are = headers.keys().any(|name| has_underscore(name.as_str()));
        assert_eq!(take_underscores(&mut headers, there_are, rules), refused);
        let names = |map: &HeaderMap| {
            let names = map.keys().map(|name| name.as_str().to_owned());
            let mut names: Vec<_> = names.collect();
            names.sort_unstable();
            names
        };
        let mut left = left.to_vec();
        left.sort_unstable();
        assert_eq!(names(&headers), left);
        clean_trailers(&mut trailers, rules);
        assert_eq!(names(&trailers), left, "behind a body");
    }

    #[test]
    fn underscores_go_unless_they_are_allowed() {
        let names = ["x-a", "x_a", "_", "accept"];
        check(
            &rules(Underscores::Drop, &[]),
            &names,
            &["x-a", "accept"],
            false,
        );
        check(
            &rules(Underscores::Reject, &[]),
            &names,
            &["x-a", "accept"],
            true,
        );
        check(
            &rules(Underscores::Reject, &[]),
            &["x-a", "accept"],
            &["x-a", "accept"],
            false,
        );
        check(&rules(Underscores::Allow, &[]), &names, &names, false);
    }

    #[test]
    fn only_the_gateway_says_who_a_client_is() {
        let rules = rules(Underscores::Allow, &["x-user-id", "x-consumer-*"]);
        check(
            &rules,
            &[
                "x-user-id",
                "X_User_Id",
                "x-user",
                "x-user-id2",
                "x-consumer-",
                "x-consumer_name",
                "X-Consumer-Groups",
                "x-consumer",
            ],
            &["x-user", "x-user-id2", "x-consumer"],
            false,
        );
    }
}
