//! Configurations of plugins against the schemas that plugins ship.

use super::{MINIMAL, good, listing};
use crate::config::{plugin_config_errors, refused_by_plugin, without_secrets};

/// The error listing of a schema for `config: {limit: many, secret: "${env:KEY}", list: [{x: 1}]}`.
fn against(schema: &str) -> String {
    let config = good(&format!(
        "{MINIMAL}plugins:\n- name: p\n  config:\n    limit: many\n    secret: '${{env:KEY}}'\n    list: [{{x: 1}}]\n"
    ));
    listing(&plugin_config_errors(&config.plugins[0], schema))
}

#[test]
fn a_plugin_configuration_is_told_by_the_schema_of_the_plugin() {
    let schema = r##"{"type": "object", "additionalProperties": false, "required": ["window"], "properties": {
        "limit": {"type": "integer"}, "secret": {"type": "string", "maxLength": 3}, "window": {"type": "string"}, "lost": {},
        "list": {"type": "array", "items": {"$ref": "#/$defs/item"}}}, "$defs": {"item": {"properties": {"x": {"enum": ["a"]}}}}}"##;
    assert_eq!(against(schema), "\
gate.yaml:6:5: plugins[0].config.window: the key \"window\" is missing (by the schema of plugin p): expected a text
gate.yaml:6:12: plugins[0].config.limit: this value does not fit (by the schema of plugin p): found a text, expected a whole number
gate.yaml:7:13: plugins[0].config.secret: this value does not fit (by the schema of plugin p): found a text, expected at most 3 characters
gate.yaml:8:16: plugins[0].config.list[0].x: this value does not fit (by the schema of plugin p): found the number 1, expected \"a\"
");
    assert_eq!(against("true"), "");
    assert_eq!(
        against(
            r#"{"properties": {"limit": {"anyOf": [{"type": "integer"}, {"type": "boolean"}]}}}"#
        ),
        "gate.yaml:6:12: plugins[0].config.limit: this value does not fit (by the schema of plugin p): found a text, expected a whole number, or true or false\n"
    );
}

#[test]
fn a_hostile_schema_is_an_error_that_names_the_plugin() {
    let nested = format!("{}1{}", r#"{"not":"#.repeat(120), "}".repeat(120));
    let many: Vec<String> = (0..40)
        .map(|i| format!(r##""d{i}": {{"anyOf": [{{"$ref": "#/$defs/d{0}"}}, {{"$ref": "#/$defs/d{0}"}}]}}"##, i + 1))
        .collect();
    let bomb = format!(
        r##"{{"$ref": "#/$defs/d0", "$defs": {{{}, "d40": {{}}}}}}"##,
        many.join(",")
    );
    for (schema, reason) in [
        ("{", "it is not JSON"),
        ("5", ""),
        (r#"{"type": "strin"}"#, ""),
        (r#"{"type": 5}"#, ""),
        (r##"{"$ref": "#"}"##, "in a circle"),
        (
            r##"{"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#"}}}}"##,
            "in a circle",
        ),
        (
            r#"{"$ref": "http://127.0.0.1:1/schema.json"}"#,
            "nothing is fetched",
        ),
        (r#"{"$ref": "file:///etc/passwd"}"#, "nothing is fetched"),
        (r##"{"$ref": "#/$defs/gone"}"##, "leads nowhere"),
        (r##"{"$dynamicRef": "#"}"##, "not supported"),
        (
            r#"{"$schema": "http://127.0.0.1:1/meta", "type": "object"}"#,
            "",
        ),
        (
            r#"{"properties": {"limit": {"pattern": "(a{1000}){1000}"}}}"#,
            "",
        ),
        (r#"{"properties": {"limit": {"pattern": "("}}}"#, ""),
        (&nested, ""),
        (&bomb, "apply to one value"),
        (&format!("\"{}\"", "x".repeat(2 << 20)), "larger than"),
    ] {
        let told = against(schema);
        assert!(told.starts_with("gate.yaml:4:3: plugins[0]: the configuration schema that plugin p ships cannot be used, "), "{schema:.200}: {told}");
        assert!(
            told.contains(reason) && told.lines().count() == 1,
            "{schema:.200}: {told}"
        );
    }
}

#[test]
fn a_refusal_of_the_plugin_stands_at_its_use_without_secrets() {
    let config = good(&format!(
        "{MINIMAL}plugins:\n- name: p\n  config: {{k: 'x ${{env:KEY}}'}}\n"
    ));
    let error = refused_by_plugin(&config.plugins[0], "k \"hunter2-hunter2\" is too short.\n");
    assert_eq!(
        error.to_string(),
        "gate.yaml:4:3: plugins[0]: the plugin p refused this configuration, k \"(secret)\" is too short"
    );
}

/// A chain of references, each inside the part before: as a property, or for the same value.
fn chain(length: usize, link: &str) -> String {
    let parts: Vec<String> = (0..length)
        .map(|i| format!(r#""d{i}": {}"#, link.replace('N', &(i + 1).to_string())))
        .collect();
    format!(
        r##"{{"$ref": "#/$defs/d0", "$defs": {{{}, "d{length}": {{}}}}}}"##,
        parts.join(",")
    )
}

#[test]
fn long_chains_of_references_do_not_exhaust_the_stack() {
    let same = r##"{"allOf": [{"$ref": "#/$defs/dN"}]}"##;
    let deeper = r##"{"properties": {"list": {"$ref": "#/$defs/dN"}}}"##;
    for link in [same, deeper] {
        assert!(against(&chain(5000, link)).contains("it holds more than 500 references"));
        assert_eq!(against(&chain(480, link)), "");
    }
}

#[test]
fn secrets_are_taken_out_however_they_are_quoted() {
    let config = good(&format!(
        "{MINIMAL}plugins:\n- {{name: p, config: {{secret: '${{env:KEY}}'}}}}\n- {{name: q}}\n"
    ));
    let uses: Vec<_> = config.plugins.iter().collect();
    let json: serde_json::Value =
        serde_json::from_str(config.plugins[0].config.reveal()).expect("JSON");
    let secret = json["secret"].as_str().expect("a text");
    let quoted = format!("saying {secret:?} and {}, which is {secret}", json);
    let told = without_secrets(&uses, &quoted);
    assert!(!told.contains(secret), "{told}");
    assert_eq!(told.matches("(secret)").count(), 3, "{told}");
    assert_eq!(without_secrets(&uses[1..], &quoted), quoted);
}
