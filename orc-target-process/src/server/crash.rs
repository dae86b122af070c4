//! The report of a crash on its way to the controller.

use std::sync::Arc;

use super::session::Session;
use crate::host::crash::{self, Sink};

/// Where the process's report goes. Kept for good, as the handlers are.
struct ToController(Arc<Session>);

impl Sink for ToController {
    fn send(&self, message: &[u8]) -> bool {
        self.0.writer.send_at_once(message)
    }
}

/// Tells this session's controller of a crash of the process. One session of a process can.
pub(super) fn report_to(session: &Arc<Session>) {
    let sink: &'static ToController = Box::leak(Box::new(ToController(Arc::clone(session))));
    // Without handlers, the controller learns of a crash from whoever waits for the process.
    let _ = crash::report_to(sink);
}
