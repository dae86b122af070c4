//! Objects between `--start-lib` and `--end-lib`: linked when one of their definitions is needed, as
//! members of archives are.

use std::sync::Arc;

use jit_core::name::NameId;
use jit_core::object::{LazyObjects, ObjectError, ObjectFile, Scope};

/// An object that stands for an archive of itself.
pub(crate) struct LazyObject {
    object: Arc<dyn ObjectFile>,
    index: Vec<(NameId, u32)>,
}

impl LazyObject {
    pub(crate) fn new(object: Arc<dyn ObjectFile>) -> Self {
        let definitions = object.interface().definitions.iter();
        let visible = definitions.filter(|definition| definition.scope != Scope::Local);
        let index = visible.map(|definition| (definition.name, 0)).collect();
        Self { object, index }
    }
}

impl LazyObjects for LazyObject {
    fn name(&self) -> &str {
        self.object.name()
    }

    fn index(&self) -> &[(NameId, u32)] {
        &self.index
    }

    fn len(&self) -> u32 {
        1
    }

    fn load(&self, _: u32) -> Result<Arc<dyn ObjectFile>, ObjectError> {
        Ok(self.object.clone())
    }
}
