//! What is printed at the end and written for the documentation.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::failure::{Context, Outcome};

use super::machine::Facts;
use super::table::{MEMORY, Table};
use super::verdict::{numbers, verdicts};

/// Everything a run came to.
#[derive(Debug)]
pub(crate) struct Report {
    facts: Facts,
    tables: Vec<Table>,
}

impl Report {
    pub(crate) fn new(facts: Facts) -> Self {
        Self {
            facts,
            tables: vec![],
        }
    }

    pub(crate) fn add(&mut self, table: Table) {
        self.tables.push(table);
    }

    /// The data of a scenario; null where it was not measured.
    pub(crate) fn data(&self, scenario: &str) -> &Value {
        let table = self.tables.iter().find(|table| table.scenario == scenario);
        table.map_or(&Value::Null, |table| &table.data)
    }

    /// One figure of one contestant, a number a round.
    pub(crate) fn rounds(&self, scenario: &str, name: &str, figure: &str) -> Option<Vec<f64>> {
        numbers(&self.data(scenario)[name][figure])
    }

    /// Machine, versions, date.
    pub(crate) fn head(&self) -> String {
        let lines = self
            .facts
            .iter()
            .map(|(name, value)| format!("- {name}: {value}\n"));
        lines.collect()
    }

    /// The verdicts.
    pub(crate) fn end(&self) -> String {
        let memory = self.tables.iter().filter(|table| table.scenario == MEMORY);
        let memory: String = memory
            .map(|table| format!("\n## memory\n\n{}", table.markdown()))
            .collect();
        let lines: String = verdicts(self)
            .iter()
            .map(|line| format!("- {line}\n"))
            .collect();
        format!("{memory}\n## targets\n\n{lines}")
    }

    /// Writes `bench.md` and `bench.json` into `folder`.
    pub(crate) fn write(&self, folder: &Path) -> Outcome<()> {
        let scenarios: String = self
            .tables
            .iter()
            .filter(|table| table.scenario != MEMORY)
            .map(|table| format!("\n## {}\n\n{}", table.scenario, table.markdown()))
            .collect();
        let text = format!("{}{scenarios}{}", self.head(), self.end());
        let facts: Value = self
            .facts
            .iter()
            .cloned()
            .map(|(name, value)| (name, Value::from(value)))
            .collect();
        let tables: Value = self
            .tables
            .iter()
            .map(|table| (table.scenario.to_owned(), table.data.clone()))
            .collect();
        let data = json!({"facts": facts, "scenarios": tables, "targets": verdicts(self)});
        for (name, content) in [("bench.md", text), ("bench.json", format!("{data:#}\n"))] {
            let path = folder.join(name);
            fs::write(&path, content)
                .context(format_args!("{} cannot be written", path.display()))?;
            println!("written: {}", path.display());
        }
        Ok(())
    }
}
