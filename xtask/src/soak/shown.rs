//! What the admin listener shows of a change.

use serde_json::Value;

/// Whether some image with this digest is active. The digest may be shown shortened or with its kind in front.
pub(crate) fn is_active(plugins: &Value, digest: &str) -> bool {
    match plugins {
        Value::Array(items) => items.iter().any(|item| is_active(item, digest)),
        Value::Object(fields) => {
            let shown = fields.get("digest").and_then(Value::as_str).unwrap_or("");
            let shown = shown.trim_start_matches("sha256:");
            let same = shown.len() >= 12 && digest.starts_with(shown);
            let active = fields.get("state").and_then(Value::as_str) == Some("active");
            (same && active) || fields.values().any(|field| is_active(field, digest))
        }
        _ => false,
    }
}

/// Whether the gateway has come to a verdict since `before`, and the right one: a new generation, or the same one with
/// another account of the last change.
pub(crate) fn is_judged(before: &Value, after: &Value, invalid: bool) -> bool {
    let newer = after["generation"].as_u64() > before["generation"].as_u64();
    let spoken = after["last_change"] != before["last_change"];
    if invalid { spoken && !newer } else { newer }
}

/// The error of the last change in which all of these words stand, where it was refused.
pub(crate) fn error_with<'a>(status: &'a Value, words: &[String]) -> Option<&'a str> {
    let change = &status["last_change"];
    let refused = change["outcome"] == "refused";
    let errors = change["errors"].as_array().filter(|_| refused)?;
    let mut errors = errors.iter().filter_map(Value::as_str);
    errors.find(|error| words.iter().all(|word| error.contains(word.as_str())))
}

/// Whether no exchange holds what was replaced: no older generation, no image that is on its way out.
pub(crate) fn is_at_rest(status: &Value, plugins: &Value) -> bool {
    let none = |list: &Value| list.as_array().is_some_and(Vec::is_empty);
    let images = plugins["images"].as_array();
    none(&status["draining"])
        && none(&status["lagging"])
        && images.is_some_and(|images| {
            let settled =
                |image: &Value| image["state"] == "active" || image["state"] == "resident";
            images.iter().all(settled)
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{error_with, is_active, is_at_rest, is_judged};

    #[test]
    fn an_active_image_is_found_by_its_digest() {
        let digest = "0123456789abcdef";
        let shown = |digest: &str, state: &str| json!({"plugins": [{"images": [{"digest": digest, "state": state}]}]});
        assert!(is_active(&shown(digest, "active"), digest));
        assert!(is_active(&shown("sha256:0123456789ab", "active"), digest));
        assert!(!is_active(&shown(digest, "draining"), digest));
        assert!(!is_active(&shown("", "active"), digest));
    }

    #[test]
    fn a_verdict_is_a_new_generation_or_a_new_refusal() {
        let status = |generation: u64, outcome: &str| json!({"generation": generation, "last_change": outcome});
        assert!(is_judged(&status(1, "a"), &status(2, "b"), false));
        assert!(!is_judged(&status(1, "a"), &status(1, "b"), false));
        assert!(is_judged(&status(1, "a"), &status(1, "b"), true));
        assert!(!is_judged(&status(1, "a"), &status(2, "b"), true));
    }

    #[test]
    fn a_refusal_is_told_by_its_words() {
        let status =
            json!({"last_change": {"outcome": "refused", "errors": ["a: no", "b: found c"]}});
        let words = |text: &str| text.split(' ').map(String::from).collect::<Vec<_>>();
        assert_eq!(error_with(&status, &words("b: c")), Some("b: found c"));
        assert_eq!(error_with(&status, &words("a: c")), None);
        let taken = json!({"last_change": {"outcome": "published", "errors": ["a: no"]}});
        assert_eq!(error_with(&taken, &words("a:")), None);
    }

    #[test]
    fn rest_is_when_nothing_old_is_held() {
        let status = |draining: &[u64]| json!({"draining": draining, "lagging": []});
        let images = |state: &str| json!({"images": [{"state": "active"}, {"state": state}]});
        assert!(is_at_rest(&status(&[]), &images("resident")));
        assert!(!is_at_rest(&status(&[3]), &images("resident")));
        assert!(!is_at_rest(&status(&[]), &images("draining")));
    }
}
