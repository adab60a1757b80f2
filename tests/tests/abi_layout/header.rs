//! What a C compiler makes of the header.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What a header names, in its order.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Constants with a value.
    pub(crate) constants: Vec<String>,
    /// Structures with their fields.
    pub(crate) structs: Vec<(String, Vec<String>)>,
}

impl Names {
    /// Reads as much C as the header is written in.
    pub(crate) fn of(text: &str) -> Self {
        let text = without_comments(text);
        let mut names = Self::default();
        for line in text.lines() {
            names.constants.extend(constant(line));
        }
        let code: String = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .flat_map(|line| [line, "\n"])
            .collect();
        let mut rest = code.as_str();
        while let Some((before, body)) = rest.split_once('{') {
            let end = body.find('}').unwrap_or(body.len());
            if let Some(name) = before.trim_end().rsplit(' ').next()
                && before.trim_end().ends_with(&format!("struct {name}"))
            {
                let fields = body[..end].split(';').filter_map(field);
                names.structs.push((name.to_owned(), fields.collect()));
                rest = &body[end..];
            } else {
                // `extern "C" {` and the like.
                rest = body;
            }
        }
        names
    }
}

/// The table, printed by a program that is compiled with the header.
pub(crate) fn layout(text: &str, include: &Path) -> String {
    let names = Names::of(text);
    assert!(names.constants.len() > 40 && names.structs.len() >= 8);
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (folder.path().join("layout.c"), folder.path().join("layout"));
    fs::write(&source, printer(&names)).unwrap();
    let compiled = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(include)
        .arg("-o")
        .arg(&program)
        .arg(&source)
        .status()
        .expect("a C compiler is needed to compare the layouts");
    assert!(compiled.success());
    let output = Command::new(&program).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn printer(names: &Names) -> String {
    let mut c = String::from(
        "#include <stdio.h>
#include \"swapgate.h\"
static void number(const char *name, long long value) { printf(\"%s %lld\\n\", name, value); }
static void text(const char *name, const char *value) { printf(\"%s \\\"%s\\\"\\n\", name, value); }
#define SHOW(name) _Generic((name), char *: text, const char *: text, default: number)(#name, name)
#define FIELD(type, name) printf(\"  %s at %zu, size %zu\\n\", #name, offsetof(type, name), sizeof ((type *)0)->name)
int main(void) {
",
    );
    for name in &names.constants {
        let _ = writeln!(c, "    SHOW({name});");
    }
    for (name, fields) in &names.structs {
        let _ = writeln!(
            c,
            "    printf(\"{name} size %zu, align %zu\\n\", sizeof({name}), _Alignof({name}));"
        );
        for field in fields {
            let _ = writeln!(c, "    FIELD({name}, {field});");
        }
    }
    c.push_str("    return 0;\n}\n");
    c
}

fn without_comments(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("/*") {
        kept.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    kept + rest
}

/// The name of `#define NAME value`, where the value is a number or a text.
fn constant(line: &str) -> Option<String> {
    let (name, value) = line.strip_prefix("#define ")?.split_once(' ')?;
    let is_value = value
        .trim_start()
        .starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '"');
    (is_value && !name.contains('(')).then(|| name.to_owned())
}

/// The name a declaration declares.
fn field(declaration: &str) -> Option<String> {
    let declaration = declaration.trim();
    let declarator = match declaration.split_once("(*") {
        Some((_, rest)) => rest.split(')').next()?,
        None => declaration.split('[').next()?,
    };
    let name = declarator
        .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
        .next()?;
    (!name.is_empty()).then(|| name.to_owned())
}
