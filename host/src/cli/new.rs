//! `swapgate plugin new NAME --lang rust|c|cpp|go`: a project to start from.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use swapgate::scaffold::name::{BadName, Name};
use swapgate::scaffold::{self, Language, place};

use super::{FAILED, print};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The id of the plugin: 1 to 63 characters of a-z, 0-9 and -.
    name: String,
    /// What it is written in.
    #[arg(long, value_enum, value_name = "rust|c|cpp|go")]
    lang: Lang,
    /// The folder to make; it must be empty or not exist [default: ./NAME].
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Lang {
    /// Rust, with the SDK crate.
    Rust,
    /// C, with the header.
    C,
    /// C++, with the header and a layer on it.
    Cpp,
    /// Go, with the header and a package on it.
    Go,
}

/// Why there is no project.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Name(#[from] BadName),
    #[error(transparent)]
    Place(#[from] place::Error),
}

/// Makes the project and says what to type next.
pub(crate) fn run(args: &Args) -> u8 {
    match make(args) {
        Ok(text) => print(&text),
        Err(error) => {
            eprintln!("{error}");
            FAILED
        }
    }
}

fn make(args: &Args) -> Result<String, Error> {
    let name = Name::parse(&args.name)?;
    let language = match args.lang {
        Lang::Rust => Language::Rust,
        Lang::C => Language::C,
        Lang::Cpp => Language::Cpp,
        Lang::Go => Language::Go,
    };
    let folder = args
        .path
        .clone()
        .unwrap_or_else(|| PathBuf::from(name.as_str()));
    let files = scaffold::project(&name, language);
    place::put(&files, &folder)?;
    Ok(next(&name, language, &folder, files.len()))
}

/// What to type next.
fn next(name: &Name, language: Language, folder: &Path, files: usize) -> String {
    let this = Shown(&program());
    let product = scaffold::product(name, language);
    let commands = match language {
        Language::Rust => [
            "cargo test".to_owned(),
            "cargo build --release".to_owned(),
            format!("{this} plugin check {product}"),
            format!("{this} run --config try/swapgate.yaml"),
            format!("install -m 755 {product} try/plugins.d/"),
        ],
        Language::C | Language::Cpp | Language::Go => [
            "make test".to_owned(),
            "make".to_owned(),
            format!("{this} plugin check {product}"),
            format!("{this} run --config try/swapgate.yaml"),
            "make install PLUGINS_DIR=try/plugins.d".to_owned(),
        ],
    };
    let again = match language {
        Language::Go => "once; a later build takes a restart of the gateway",
        Language::Rust | Language::C | Language::Cpp => "again after every build: that is a swap",
    };
    let notes = [
        "its tests, without a gateway",
        "",
        "would a gateway take it?",
        "in another shell: a gateway to try it in",
        again,
    ];
    let width = commands.iter().map(String::len).max().unwrap_or(0);
    let lines = commands.iter().zip(notes).map(|(command, note)| {
        let line = match note {
            "" => command.clone(),
            note => format!("{command:width$}  # {note}"),
        };
        format!("  {line}\n")
    });
    format!(
        "made the plugin {name} in {}, {files} files; next:\n\n  cd {}\n{}\nREADME.md in it tells the rest",
        folder.display(),
        Shown(folder),
        lines.collect::<String>()
    )
}

/// How this program can be called from another folder.
fn program() -> PathBuf {
    let called = std::env::args_os().next().map(PathBuf::from);
    match called {
        // Found on the search path, as it will be again.
        Some(called) if called.components().count() == 1 => called,
        _ => std::env::current_exe().unwrap_or_else(|_| PathBuf::from("swapgate")),
    }
}

/// A path as a shell reads it.
struct Shown<'p>(&'p Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string_lossy();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%".contains(&byte);
        match text.bytes().all(plain) && !text.starts_with('-') {
            true => f.write_str(&text),
            false if text.starts_with('-') => write!(f, "'./{}'", text.replace('\'', r"'\''")),
            false => write!(f, "'{}'", text.replace('\'', r"'\''")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_a_shell_needs_it() {
        for (path, expected) in [
            ("a/b-c.d", "a/b-c.d"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("-x", "'./-x'"),
        ] {
            assert_eq!(Shown(Path::new(path)).to_string(), expected);
        }
    }
}
