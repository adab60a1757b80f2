//! Misbehaves when a state is handed over. In a preflight it behaves: there no instance is ever started.

use std::sync::atomic::Ordering;

use swapgate_plugin::{Error, ImportError, State};

use crate::{Faulty, happen};

impl State for Faulty {
    const FORMAT: u32 = 1;

    fn export_state(&self) -> Result<Option<Vec<u8>>, Error> {
        if let Some(fault) = self.config.export_state
            && self.started.load(Ordering::Acquire)
        {
            happen(fault)?;
        }
        Ok(self.config.state_bytes.map(|bytes| vec![b'x'; bytes]))
    }

    fn import_state(&mut self, format: u32, _: &[u8]) -> Result<(), ImportError> {
        if format != Self::FORMAT {
            return Err(ImportError::Format);
        }
        let fault = self.config.import_state;
        fault.map_or(Ok(()), happen).map_err(ImportError::Failed)
    }
}
