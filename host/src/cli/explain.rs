//! `swapgate explain METHOD URL`: what becomes of a request, and why.

mod text;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use swapgate::config::ready::Config;
use swapgate::config::{self, Source, System};
use swapgate::control::check::Unfit;
use swapgate::control::explain::{Document, Question, View};

use super::ask::{Ask, ask};
use super::{BAD_CONFIGURATION, FAILED, check, print};

/// It asks the gateway that runs here, unless a file is named with `--config`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The method, such as GET.
    method: String,
    /// `http://host/path?query`, or `/path?query`.
    url: String,
    /// A header, as often as there are any.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The address the request comes from [default: 127.0.0.1].
    #[arg(long, value_name = "IP")]
    client: Option<String>,
    /// The admin listener of the gateway that is asked.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8001")]
    admin: SocketAddr,
    /// The token it asks for, where it does.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "SWAPGATE_ADMIN_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
    /// Explain this configuration file instead of what a gateway serves.
    #[arg(long, value_name = "FILE", conflicts_with = "admin")]
    config: Option<PathBuf>,
    /// With the plugin files in this folder, each tried in a child process.
    #[arg(long, value_name = "DIR", requires = "config")]
    plugins: Option<PathBuf>,
    /// Print the answer as the JSON document it is.
    #[arg(long)]
    json: bool,
}

/// Why there is no explanation: lines for people, and the exit code.
struct Unexplained {
    lines: Vec<String>,
    code: u8,
}

impl Unexplained {
    fn failed(line: &impl ToString) -> Self {
        Self {
            lines: vec![line.to_string()],
            code: FAILED,
        }
    }

    fn configuration<E: ToString>(errors: &[E]) -> Self {
        Self {
            lines: errors.iter().map(ToString::to_string).collect(),
            code: BAD_CONFIGURATION,
        }
    }
}

/// Exit code 0 with an explanation, whatever it says; 1 without, 2 if the configuration is wrong.
pub(crate) fn run(args: &Args) -> ExitCode {
    let code = match question(args).and_then(|question| explain(args, &question)) {
        Ok(document) if args.json => match serde_json::to_string_pretty(&document) {
            Ok(text) => print(&text),
            Err(_) => FAILED,
        },
        Ok(document) => print(text::of(&document).trim_end()),
        Err(unexplained) => {
            for line in &unexplained.lines {
                eprintln!("{line}");
            }
            unexplained.code
        }
    };
    ExitCode::from(code)
}

fn question(args: &Args) -> Result<Question, Unexplained> {
    let header = |text: &String| {
        let (name, value) = text.split_once(':').ok_or_else(|| {
            Unexplained::failed(&format!(
                "'{text}' is not a header; write it as 'name: value'"
            ))
        })?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    };
    Ok(Question {
        method: args.method.clone(),
        url: args.url.clone(),
        headers: args.headers.iter().map(header).collect::<Result<_, _>>()?,
        client: args.client.clone(),
    })
}

fn explain(args: &Args, question: &Question) -> Result<Document, Unexplained> {
    let Some(file) = &args.config else {
        let question = serde_json::to_vec(question).map_err(|error| Unexplained::failed(&error))?;
        let asked = Ask::Post("/explain", &question);
        let answer = ask(args.admin, args.token.as_deref(), asked)
            .map_err(|error| Unexplained::failed(&error))?;
        return serde_json::from_slice(&answer).map_err(|error| Unexplained::failed(&error));
    };
    let source = Source::read(file).map_err(|error| Unexplained::configuration(&[error]))?;
    let config =
        config::load(&source, &System).map_err(|errors| Unexplained::configuration(&errors))?;
    let view = view(args, &config)?;
    view.answer(question)
        .map_err(|error| Unexplained::failed(&error))
}

fn view(args: &Args, config: &Config) -> Result<View, Unexplained> {
    let Some(plugins) = &args.plugins else {
        return Ok(View::without_plugins(config));
    };
    match check::with_plugins(config, plugins) {
        Ok(checked) => Ok(View::of(config, checked.got)),
        Err(Unfit::Uses { errors, .. }) => Err(Unexplained::configuration(&errors)),
        Err(Unfit::State(refusal)) => Err(Unexplained::failed(&refusal)),
    }
}
