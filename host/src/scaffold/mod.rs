//! New plugin projects: `swapgate plugin new`.
//!
//! - [`name`]: what a plugin may be called, and what cargo can call its crate;
//! - here: which files a project has, as texts; pure;
//! - [`sdk`]: the SDK that goes into its `vendor` folder, or `sdk`;
//! - [`place`]: how the files get to the disk, all or none.
//!
//! The templates are files of their own, in `templates`: `@name@` and its like are places that are filled in.

pub mod name;
pub mod place;
pub mod sdk;

use std::borrow::Cow;

use name::Name;

/// What a project is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// With the SDK crate.
    Rust,
    /// With the header.
    C,
    /// With the header and the layer for C++ on it.
    Cpp,
    /// With the header and the package for Go on it.
    Go,
}

impl Language {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Rust, Self::C, Self::Cpp, Self::Go];

    /// The folder of the SDK in a project. For Go it is another one, because its tools take `vendor` for their own.
    const fn sdk_folder(self) -> &'static str {
        match self {
            Self::Rust | Self::C | Self::Cpp => "vendor",
            Self::Go => "sdk",
        }
    }
}

/// One file of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where it is, from the top of the project.
    pub path: String,
    /// What it says.
    pub text: Cow<'static, str>,
}

/// A file of the templates.
struct Template(&'static str, &'static str);

macro_rules! templates {
    ($($path:literal from $source:literal),* $(,)?) => {
        &[$(Template($path, include_str!(concat!("templates/", $source)))),*]
    };
}

const RUST: &[Template] = templates![
    ".github/workflows/ci.yml" from "ci/cargo.yml",
    ".gitignore" from "rust/gitignore",
    "Cargo.toml" from "rust/Cargo.toml.in",
    "README.md" from "rust/README.md",
    "src/lib.rs" from "rust/src/lib.rs",
    "vendor/README.md" from "rust/vendor.md",
];

const C: &[Template] = templates![
    ".github/workflows/ci.yml" from "ci/make.yml",
    ".gitignore" from "c/gitignore",
    "Makefile" from "c/Makefile",
    "README.md" from "c/README.md",
    "compile_flags.txt" from "c/compile_flags.txt",
    "plugin.c" from "c/plugin.c",
    "test/test.c" from "c/test/test.c",
    "vendor/README.md" from "c/vendor.md",
];

const CPP: &[Template] = templates![
    ".github/workflows/ci.yml" from "ci/make.yml",
    ".gitignore" from "cpp/gitignore",
    "Makefile" from "cpp/Makefile",
    "README.md" from "cpp/README.md",
    "compile_flags.txt" from "cpp/compile_flags.txt",
    "plugin.cpp" from "cpp/plugin.cpp",
    "test/test.c" from "c/test/test.c",
    "vendor/README.md" from "cpp/vendor.md",
];

const GO: &[Template] = templates![
    ".github/workflows/ci.yml" from "ci/make.yml",
    ".gitignore" from "go/gitignore",
    "Makefile" from "go/Makefile",
    "README.md" from "go/README.md",
    "descriptor.c" from "go/descriptor.c",
    "go.mod" from "go/go.mod.in",
    "main.go" from "go/main.go",
    "sdk/README.md" from "go/sdk.md",
    "test/test.c" from "c/test/test.c",
];

/// In all: a gateway to try the plugin in.
const TRY: &[Template] = templates![
    "try/plugins.d/.gitignore" from "try/gitignore",
    "try/swapgate.yaml" from "try/swapgate.yaml",
];

/// The files of a new project.
#[must_use]
pub fn project(name: &Name, language: Language) -> Vec<File> {
    let (own, sdk) = match language {
        Language::Rust => (RUST, sdk::RUST),
        Language::C => (C, sdk::C),
        Language::Cpp => (CPP, sdk::CPP),
        Language::Go => (GO, sdk::GO),
    };
    let filled = own.iter().chain(TRY).map(|Template(path, text)| File {
        path: (*path).to_owned(),
        text: Cow::Owned(fill(text, name)),
    });
    let vendored = sdk.iter().map(|file| File {
        path: format!("{}/{}", language.sdk_folder(), file.path),
        text: Cow::Borrowed(file.text),
    });
    let schema = File {
        path: "try/swapgate.schema.json".to_owned(),
        text: Cow::Owned(format!("{:#}\n", crate::config::schema())),
    };
    filled.chain(vendored).chain([schema]).collect()
}

/// The file that the project builds, from its top.
#[must_use]
pub fn product(name: &Name, language: Language) -> String {
    let suffix = std::env::consts::DLL_SUFFIX;
    match language {
        Language::Rust => format!("target/release/lib{}{suffix}", name.library()),
        Language::C | Language::Cpp | Language::Go => format!("build/lib{name}{suffix}"),
    }
}

fn fill(text: &str, name: &Name) -> String {
    let places = [
        ("@name@", name.as_str()),
        ("@package@", &name.package()),
        ("@library@", &name.library()),
        ("@rust_version@", env!("CARGO_PKG_RUST_VERSION")),
        ("@version@", env!("CARGO_PKG_VERSION")),
    ];
    places.iter().fold(text.to_owned(), |text, (place, value)| {
        text.replace(place, value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn files(name: &str, language: Language) -> Vec<File> {
        project(&Name::parse(name).unwrap(), language)
    }

    #[track_caller]
    fn text<'f>(files: &'f [File], path: &str) -> &'f str {
        let file = files.iter().find(|file| file.path == path);
        &file.unwrap_or_else(|| panic!("no {path}")).text
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        for language in Language::ALL {
            for file in files("hello-world", language) {
                assert_eq!(left(&file.text), None, "{}", file.path);
            }
        }
        for place in ["@name@", "@version@", "@rust_version@", "@any_other@"] {
            let text = format!("mail@example.org\nx = \"{place}\"");
            assert_eq!(left(&text).as_deref(), Some(place));
        }
        assert_eq!(left("mv $@.new $@"), None);
    }

    /// A place that nothing was filled into: a word between two `@`, whatever it is.
    fn left(text: &str) -> Option<String> {
        let is_word = |part: &&str| {
            let mut letters = part.chars();
            !part.is_empty() && letters.all(|letter| letter.is_ascii_lowercase() || letter == '_')
        };
        let closed = text.lines().find_map(|line| {
            let mut parts: Vec<_> = line.split('@').skip(1).collect();
            // What follows the last one is between nothing.
            parts.pop();
            parts.into_iter().find(is_word)
        });
        closed.map(|word| format!("@{word}@"))
    }

    #[test]
    fn every_file_has_a_place_of_its_own() {
        for language in Language::ALL {
            let mut paths: Vec<_> = files("a", language).into_iter().map(|f| f.path).collect();
            let all = paths.len();
            paths.sort();
            paths.dedup();
            assert_eq!(paths.len(), all);
        }
    }

    #[test]
    fn the_vendored_manifests_inherit_nothing() {
        let files = files("hello", Language::Rust);
        for path in [
            "vendor/swapgate-abi/Cargo.toml",
            "vendor/swapgate-plugin/Cargo.toml",
        ] {
            let manifest = text(&files, path);
            assert!(!manifest.contains("workspace"), "{manifest}");
            assert!(manifest.contains(concat!("version = \"", env!("CARGO_PKG_VERSION"), "\"")));
        }
        let manifest = text(&files, "vendor/swapgate-plugin/Cargo.toml");
        assert!(manifest.contains("path = \"../swapgate-abi\""));
        text(&files, "vendor/swapgate-plugin/LICENSE");
    }

    #[test]
    fn the_header_is_this_gateways() {
        let minor = format!("#define SG_ABI_MINOR {}u", swapgate_abi::ABI_MINOR);
        for (language, path) in [
            (Language::C, "vendor/include/swapgate.h"),
            (Language::Cpp, "vendor/include/swapgate.h"),
            (Language::Go, "sdk/include/swapgate.h"),
        ] {
            let files = files("hello", language);
            assert!(text(&files, path).contains(&minor));
        }
    }

    #[test]
    fn the_configuration_to_try_it_with_is_good_and_names_the_plugin() {
        // A name that YAML would read as a number unless it is quoted.
        let files = files("007", Language::Rust);
        let yaml = text(&files, "try/swapgate.yaml");
        let source = crate::config::Source {
            file: "swapgate.yaml".into(),
            text: yaml.to_owned(),
            base: "/".into(),
        };
        let config = crate::config::load(&source, &crate::config::System).unwrap();
        assert_eq!(config.routes.len(), 1);
        assert!(yaml.contains("name: \"007\""));
    }
}
