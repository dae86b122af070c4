//! What the runtime asks the controller while a program runs: `dlopen` and `dlsym` of dylibs.

use std::sync::Arc;

use jit_core::session::{Dylib, Session, WeakSession};
use orc_shared::sps::{self, SpsExpected};
use orc_shared::{DylibNeeds, ExecutorAddr};

use super::ElfPlatform;

/// Registers the handlers with the executor. They do not keep the session.
pub(super) fn register(
    session: &Session,
    platform: &Arc<ElfPlatform>,
    push_initializers: ExecutorAddr,
    symbol_lookup: ExecutorAddr,
) {
    let handlers = Arc::new(Handlers {
        session: session.downgrade(),
        platform: Arc::downgrade(platform),
    });
    let own = handlers.clone();
    session.executor().register_handler(
        push_initializers,
        Box::new(move |args| {
            let outcome = sps::decode(args)
                .map_err(|e| e.to_string())
                .and_then(|header| own.push_initializers(header));
            sps::encode(&SpsExpected(outcome))
        }),
    );
    session.executor().register_handler(
        symbol_lookup,
        Box::new(move |args| {
            let outcome = sps::decode::<(ExecutorAddr, String)>(args)
                .map_err(|e| e.to_string())
                .and_then(|(header, name)| handlers.symbol_lookup(header, &name));
            sps::encode(&SpsExpected(outcome))
        }),
    );
}

struct Handlers {
    session: WeakSession,
    platform: std::sync::Weak<ElfPlatform>,
}

impl Handlers {
    /// Links everything of a dylib, and of those it needs, that has initializers. Their ranges are
    /// registered before this returns; the answer says which dylib needs which.
    fn push_initializers(&self, header: ExecutorAddr) -> Result<Vec<DylibNeeds>, String> {
        let (platform, dylib) = self.dylib(header)?;
        let all = platform.link_initializers(&dylib);
        all.map_err(|error| error.to_string())
    }

    fn symbol_lookup(&self, header: ExecutorAddr, name: &str) -> Result<ExecutorAddr, String> {
        let symbol = self.dylib(header)?.1.lookup_one(name);
        Ok(symbol.map_err(|e| e.to_string())?.addr())
    }

    fn dylib(&self, header: ExecutorAddr) -> Result<(Arc<ElfPlatform>, Dylib), String> {
        let gone = || "the session is gone".to_owned();
        let platform = self.platform.upgrade().ok_or_else(gone)?;
        let session: Session = self.session.upgrade().ok_or_else(gone)?;
        let id = platform
            .dylib_of(header)
            .ok_or_else(|| format!("no dylib has its header at {header}"))?;
        Ok((platform, session.dylib(id)))
    }
}
