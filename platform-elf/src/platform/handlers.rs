//! What the runtime asks the controller while a program runs: `dlopen` and `dlsym` of dylibs.

use std::sync::Arc;

use jit_core::session::{Dylib, LookupOptions, Session, WeakSession};
use orc_shared::ExecutorAddr;
use orc_shared::sps::{self, SpsExpected};

use super::ElfPlatform;
use super::support::HEADER;

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

/// A dylib's header, and those of the dylibs that it depends on.
type Dependencies = Vec<(ExecutorAddr, Vec<ExecutorAddr>)>;

impl Handlers {
    /// Links everything of a dylib, and of those it refers to, that has initializers. Their ranges are
    /// registered before this returns; the answer says which dylib depends on which.
    fn push_initializers(&self, header: ExecutorAddr) -> Result<Dependencies, String> {
        let mut waiting = vec![self.dylib(header)?];
        let mut seen: Vec<_> = waiting.iter().map(Dylib::id).collect();
        let mut answer = Dependencies::new();
        while let Some(dylib) = waiting.pop() {
            let options = LookupOptions {
                initializers: true,
                ..LookupOptions::default()
            };
            let header_name = dylib.session().names().intern(HEADER.as_bytes());
            let symbols = dylib.lookup_with(&[header_name], &options);
            let symbols = symbols.map_err(|e| e.to_string())?;
            let header = symbols.first().map(|s| s.addr()).unwrap_or_default();
            let mut depends_on = Vec::new();
            for other in dylib.link_order() {
                // Dylibs without a header (of symbols only) have nothing to initialize.
                if other.id() == dylib.id() || !other.defines(header_name) {
                    continue;
                }
                let addr = other.lookup_one(HEADER).map_err(|e| e.to_string())?.addr();
                depends_on.push(addr);
                if !seen.contains(&other.id()) {
                    seen.push(other.id());
                    waiting.push(other);
                }
            }
            answer.push((header, depends_on));
        }
        Ok(answer)
    }

    fn symbol_lookup(&self, header: ExecutorAddr, name: &str) -> Result<ExecutorAddr, String> {
        let symbol = self.dylib(header)?.lookup_one(name);
        Ok(symbol.map_err(|e| e.to_string())?.addr())
    }

    fn dylib(&self, header: ExecutorAddr) -> Result<Dylib, String> {
        let gone = || "the session is gone".to_owned();
        let platform = self.platform.upgrade().ok_or_else(gone)?;
        let session: Session = self.session.upgrade().ok_or_else(gone)?;
        let id = platform
            .dylib_of(header)
            .ok_or_else(|| format!("no dylib has its header at {header}"))?;
        Ok(session.dylib(id))
    }
}
