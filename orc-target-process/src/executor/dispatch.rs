//! The way back: calls from linked code to handlers of the controller.
//!
//! Linked code calls `__orc_rt_jit_dispatch(ctx, tag, data, size)`. The context says which session
//! it belongs to, the tag (the address of a tag symbol) which handler it wants, `data` are packed
//! arguments. Both are looked up in tables, never dereferenced, so a stale or invented one gives
//! an error and not a crash; several sessions coexist in one process.

use std::collections::HashMap;
use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use orc_shared::{CWrapperFunctionResult, ExecutorAddr};
use parking_lot::RwLock;

use super::wrapper::WrapperResult;
use crate::host::race_checker::Unwatched;

/// Takes packed arguments, returns packed results. May be called from any thread, several at once.
pub type Handler = dyn Fn(&[u8]) -> Vec<u8> + Send + Sync;

/// Answers calls of any tag: what comes back is the result, or what went wrong.
pub type Forward = dyn Fn(ExecutorAddr, &[u8]) -> Result<Vec<u8>, String> + Send + Sync;

/// One session's handlers, under a context number of its own until it is dropped. A call that
/// is running then still ends; later ones get an error.
pub struct Dispatcher {
    context: u64,
    handlers: Arc<Handlers>,
}

#[derive(Default)]
struct Handlers {
    by_tag: RwLock<HashMap<u64, Arc<Handler>>>,
    /// For tags without a handler.
    forward: Option<Box<Forward>>,
}

static CONTEXTS: LazyLock<RwLock<HashMap<u64, Arc<Handlers>>>> = LazyLock::new(RwLock::default);

impl Dispatcher {
    /// No handlers, and a context that no dispatcher of this process had before.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Handlers::default())
    }

    /// A dispatcher that passes calls on, to a controller in another process.
    pub fn forwarding(
        forward: impl Fn(ExecutorAddr, &[u8]) -> Result<Vec<u8>, String> + Send + Sync + 'static,
    ) -> Self {
        Self::with(Handlers {
            forward: Some(Box::new(forward)),
            ..Handlers::default()
        })
    }

    fn with(handlers: Handlers) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let context = NEXT.fetch_add(1, Ordering::Relaxed);
        let handlers = Arc::new(handlers);
        CONTEXTS.write().insert(context, Arc::clone(&handlers));
        Self { context, handlers }
    }

    /// Answers calls that carry `tag` with `handler`, from now on. Returns the handler that did so
    /// before.
    pub fn register(&self, tag: ExecutorAddr, handler: Box<Handler>) -> Option<Arc<Handler>> {
        let mut handlers = self.handlers.by_tag.write();
        handlers.insert(tag.value(), handler.into())
    }

    /// Takes the handler of `tag` back.
    pub fn deregister(&self, tag: ExecutorAddr) -> Option<Arc<Handler>> {
        self.handlers.by_tag.write().remove(&tag.value())
    }

    /// What linked code passes as `ctx`: the value of `__orc_rt_jit_dispatch_ctx`.
    #[must_use]
    pub fn context(&self) -> ExecutorAddr {
        ExecutorAddr::new(self.context)
    }

    /// The function that linked code calls: `__orc_rt_jit_dispatch`.
    #[must_use]
    pub fn function() -> ExecutorAddr {
        ExecutorAddr::new(dispatch as *const () as u64)
    }
}

impl Default for Dispatcher {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        CONTEXTS.write().remove(&self.context);
    }
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher")
            .field("context", &self.context)
            .field("handlers", &self.handlers.by_tag.read().len())
            .finish()
    }
}

/// Calls the handler of `tag` in the session of `context`, with no lock held.
///
/// # Safety
/// `data` leads to `size` readable bytes, or `size` is 0.
unsafe extern "C" fn dispatch(
    context: u64,
    tag: u64,
    data: *const c_char,
    size: usize,
) -> CWrapperFunctionResult {
    let arguments = if size == 0 {
        &[]
    } else {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts(data.cast::<u8>(), size) }
    };
    let _unwatched = Unwatched::begin();
    let result = match call(context, tag, arguments) {
        Ok(bytes) => WrapperResult::from_bytes(&bytes),
        Err(message) => WrapperResult::from_out_of_band_error(&message),
    };
    result.into_raw()
}

fn call(context: u64, tag: u64, arguments: &[u8]) -> Result<Vec<u8>, String> {
    let handlers = CONTEXTS.read().get(&context).map(Arc::clone);
    let Some(handlers) = handlers else {
        return Err(format!(
            "call to the controller with context {context:#x}, which no session of this process \
             has (any more)"
        ));
    };
    let handler = handlers.by_tag.read().get(&tag).map(Arc::clone);
    let answer = || match (&handler, &handlers.forward) {
        (Some(handler), _) => Ok(handler(arguments)),
        (None, Some(forward)) => forward(ExecutorAddr::new(tag), arguments),
        (None, None) => Err(format!(
            "call to the controller with tag {tag:#x}, for which no handler is registered"
        )),
    };
    // A panic must not unwind into linked code, which has no idea what it is.
    catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        Err(format!(
            "internal error: the handler of tag {tag:#x} panicked: {text}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(context: ExecutorAddr, tag: u64, data: &[u8]) -> Result<Vec<u8>, String> {
        type Dispatch =
            unsafe extern "C" fn(u64, u64, *const c_char, usize) -> CWrapperFunctionResult;
        // SAFETY: the address is that function's.
        let function: Dispatch =
            unsafe { std::mem::transmute(Dispatcher::function().value() as usize) };
        // SAFETY: `data` is what it says; the result is ours.
        let result = unsafe {
            let raw = function(context.value(), tag, data.as_ptr().cast(), data.len());
            WrapperResult::from_raw(raw)
        };
        result.bytes().map(<[u8]>::to_vec).map_err(|error| error.0)
    }

    #[test]
    fn sessions_have_their_own_handlers() {
        let tag = ExecutorAddr::new(0x1000);
        let (first, second) = (Dispatcher::new(), Dispatcher::new());
        first.register(tag, Box::new(|args| [args, b"-first"].concat()));
        second.register(tag, Box::new(|args| [args, b"-second"].concat()));
        assert_eq!(
            send(first.context(), 0x1000, b"to"),
            Ok(b"to-first".to_vec())
        );
        assert_eq!(send(second.context(), 0x1000, b""), Ok(b"-second".to_vec()));
        let gone = first.context();
        drop(first);
        assert!(send(gone, 0x1000, b"").is_err_and(|e| e.contains("no session")));
        assert_eq!(
            send(second.context(), 0x1000, b"x"),
            Ok(b"x-second".to_vec())
        );
    }

    #[test]
    fn unknown_tags_and_panics_are_errors() {
        let dispatcher = Dispatcher::new();
        let context = dispatcher.context();
        assert!(send(context, 0x2000, b"").is_err_and(|e| e.contains("tag 0x2000")));
        let tag = ExecutorAddr::new(0x2000);
        dispatcher.register(tag, Box::new(|_| panic!("on purpose")));
        let panicked = send(context, 0x2000, b"").expect_err("is reported");
        assert!(panicked.ends_with("panicked: on purpose"), "{panicked}");
        assert!(dispatcher.deregister(tag).is_some());
        assert!(send(context, 0x2000, b"").is_err());
    }

    #[test]
    fn handlers_may_register_and_call_back() {
        let dispatcher = Arc::new(Dispatcher::new());
        let inner = Arc::clone(&dispatcher);
        dispatcher.register(
            ExecutorAddr::new(1),
            Box::new(move |_| {
                inner.register(ExecutorAddr::new(2), Box::new(|args| args.to_vec()));
                send(inner.context(), 2, b"a long enough argument").expect("answered")
            }),
        );
        let answer = send(dispatcher.context(), 1, b"");
        assert_eq!(answer, Ok(b"a long enough argument".to_vec()));
    }
}
