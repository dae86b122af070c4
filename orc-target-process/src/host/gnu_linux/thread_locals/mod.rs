//! Thread-local storage for linked code.
//!
//! A thread-local variable of the executable lies at the same offset from every thread's pointer, so
//! code reaches it in one instruction. To give linked code such variables, the executable carries an
//! array of them, the *reserve* (`reserve.c`, behind the feature `tls-reserve`), and pieces of it
//! are given away here.
//!
//! A new thread's block of thread-locals is copied from the executable's *template*, the image that
//! its `PT_TLS` segment describes. So initial values go into the template, for threads to come, and
//! into the copy of every thread that exists (`threads`). Pieces that are given back stay as they
//! are; what is used again is written to whole. So threads are visited once per piece.
//!
//! It is for executables only: in a library that is opened with `dlopen`, the reserve would not fit
//! into what the loader sets aside for such libraries. So it is looked for (`find_reserve.c`), and
//! missing in a library.
//!
//! What does not fit the reserve is taken from just that, the loader's surplus (`surplus`), which has
//! the size that the process asked for when it started.
//!
//! Where that is full too, storage is a module of its own (`module`), of any size. Code that insists on a
//! fixed offset cannot use it; other code reaches it through `__tls_get_addr` (`access`).

mod access;
mod free_list;
mod helpers;
mod module;
mod object;
mod quiet;
mod signal;
mod surplus;
mod template;
mod thread_lists;
mod threads;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, LazyLock};

use orc_shared::api::{TlsBlock, TlsPlace};
use parking_lot::Mutex;

pub use access::access;
use free_list::FreeList;
use module::Module;
use template::Place;

/// Why thread-local storage could not be reserved or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The executable was built without a reserve.
    #[error(
        "this executable has no room for thread-local variables of linked code: build it with \
         the feature `tls-reserve` of orc-target-process, or start it with {SETTING}={wanted} in \
         GLIBC_TUNABLES"
    )]
    NoReserve {
        /// Bytes of surplus to start with.
        wanted: u64,
    },
    /// The reserve is not where it can be used.
    #[error("internal error: the thread-local reserve cannot be used: {0}")]
    Misplaced(&'static str),
    /// Not enough is left.
    #[error(
        "no room for {size} bytes of thread-local variables aligned to {align}: {free} of \
         {reserve} bytes are free; start the process with {SETTING}={wanted} in GLIBC_TUNABLES, \
         or build with ORC_TLS_RESERVE_SIZE set to more bytes"
    )]
    Full {
        /// Bytes asked for.
        size: u64,
        /// Alignment asked for.
        align: u64,
        /// Bytes that are free, perhaps in pieces.
        free: u64,
        /// Bytes in all.
        reserve: u64,
        /// Bytes of surplus to start with.
        wanted: u64,
    },
    /// The loader aligns the executable's thread-locals to no more than this.
    #[error("thread-local variables aligned to {align} bytes are not supported; at most {max}")]
    Alignment {
        /// Alignment asked for.
        align: u64,
        /// The largest possible.
        max: u64,
    },
    /// The loader does not make a module, or tells too little of those it has.
    #[error("cannot make room for thread-local variables in a module of their own: {0}")]
    NoModule(String),
    /// A block that was not reserved, or was released.
    #[error("internal error: thread-local block {0} is not reserved")]
    UnknownBlock(u64),
    /// More initial bytes than the block has.
    #[error("internal error: {image} bytes of initial values for a thread-local block of {size}")]
    ImageTooLarge {
        /// Initial bytes.
        image: u64,
        /// Size of the block.
        size: u64,
    },
    /// The template could not be made writable.
    #[error("cannot write the executable's template of thread-local variables: {0}")]
    Protection(io::Error),
    /// The system does not tell which threads exist.
    #[error("cannot list the threads of this process: {0}")]
    NoThreadList(io::Error),
    /// A thread did not answer.
    #[error(
        "cannot set thread-local variables in thread {thread}: it is not in the C library's \
         list and does not answer signal {signal}, which it may block"
    )]
    Unreachable {
        /// Its kernel id.
        thread: i32,
        /// The signal.
        signal: i32,
    },
    /// A thread's copy is not where its pointer says.
    #[error("cannot set thread-local variables in thread {thread}: its memory cannot be written")]
    Unwritable {
        /// Its kernel id.
        thread: i32,
    },
    /// A thread that was not made by the C library has no thread-local storage of it.
    #[error(
        "cannot set thread-local variables in thread {thread}, which was not made by the C library"
    )]
    ForeignThread {
        /// Its kernel id.
        thread: i32,
    },
    /// All real-time signals have handlers.
    #[error("cannot reach all threads of this process: no real-time signal is free")]
    NoSignal,
    /// Threads are made faster than they can be visited.
    #[error("cannot set thread-local variables in all threads: new ones keep appearing")]
    RestlessThreads,
}

/// The tunable of glibc's that says how many bytes of thread-local storage at fixed offsets the loader
/// keeps free: a part of the environment variable `GLIBC_TUNABLES`, read when a process starts.
pub const SETTING: &str = "glibc.rtld.optional_static_tls";

/// What the loader keeps free if nobody says anything, for libraries that are opened later.
const SURPLUS_DEFAULT: u64 = 512;

/// The surplus to start with if libraries need more than there is; how much is not known.
const SURPLUS_OF_LIBRARIES: u64 = 64 << 10;

/// The reserve of this process, and what was taken in addition.
pub struct Reserve {
    /// What is wrong with the built-in reserve.
    misplaced: Option<&'static str>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    areas: Vec<Area>,
    next_id: u64,
    blocks: HashMap<u64, Block>,
    /// Bytes taken from the surplus.
    taken: u64,
    /// So much, or more, the surplus has not got, alignment included. Nothing ever goes back to it.
    surplus_below: Option<u64>,
    /// Bytes of surplus that would have been enough for what was refused.
    wanted: Option<u64>,
}

/// Storage to give away.
#[derive(Debug)]
struct Area {
    place: Arc<Place>,
    free: FreeList,
    /// From this offset on, nothing was ever written.
    clean_from: u64,
}

#[derive(Debug)]
enum Block {
    Piece(Piece),
    Module(Arc<Module>, u64),
}

/// Part of an area.
#[derive(Debug)]
struct Piece {
    place: Arc<Place>,
    /// Offset in the place.
    start: u64,
    size: u64,
    /// Whether its bytes are still zero in every thread.
    is_clean: bool,
}

impl Reserve {
    /// The one reserve that a process has.
    pub fn get() -> &'static Self {
        static RESERVE: LazyLock<Reserve> = LazyLock::new(|| {
            let mut reserve = Reserve {
                misplaced: None,
                state: Mutex::default(),
            };
            match Place::find() {
                Ok(Some(place)) => reserve.state.get_mut().add(place),
                Ok(None) => {}
                Err(why) => reserve.misplaced = Some(why),
            }
            reserve
        });
        &RESERVE
    }

    /// Reserves `size` bytes at an offset from the thread pointer that is a multiple of `align`, a
    /// power of two. What they hold is not said until [`Self::commit`].
    ///
    /// # Errors
    /// When there is no reserve or not enough of it, and the loader has no surplus either; when the
    /// alignment is more than the reserve has.
    pub fn reserve(&self, size: u64, align: u64) -> Result<TlsBlock, TlsError> {
        let block = self.reserve_if_free(size, align)?;
        block.ok_or_else(|| self.state.lock().refuse(size, align))
    }

    /// The same. `None` if there is not enough room.
    ///
    /// # Errors
    /// When the alignment is more than the reserve has.
    pub fn reserve_if_free(&self, size: u64, align: u64) -> Result<Option<TlsBlock>, TlsError> {
        if let Some(why) = self.misplaced {
            return Err(TlsError::Misplaced(why));
        }
        let align = check_alignment(align)?;
        let mut state = self.state.lock();
        let padded = size.saturating_add(align);
        let taken = state.take(size, align);
        if taken.is_some() || state.surplus_below.is_some_and(|limit| padded >= limit) {
            return Ok(taken);
        }
        drop(state);
        // Not under our lock: somebody who has the loader's may wait for ours.
        let more = surplus::take(size.max(1), align);
        let mut state = self.state.lock();
        match more {
            Ok(place) => {
                state.taken += place.size + align;
                state.add(place);
            }
            Err(_) => state.surplus_below = Some(padded),
        }
        Ok(state.take(size, align))
    }

    /// As [`Self::reserve`], in a module of its own. How much there is, the loader knows.
    ///
    /// # Errors
    /// With the loader's message; when the alignment is more than the reserve would have.
    pub fn reserve_module(&self, size: u64, align: u64) -> Result<TlsBlock, TlsError> {
        let align = check_alignment(align)?;
        if u32::try_from(size).is_err() {
            return Err(TlsError::NoModule(format!("{size} bytes are too many")));
        }
        // Not under our lock, as above.
        let module = Module::new(size.max(1), align)?;
        let place = TlsPlace::Module {
            module: module.number,
            offset: 0,
        };
        let mut state = self.state.lock();
        let id = state.add_block(Block::Module(Arc::new(module), size.max(1)));
        Ok(TlsBlock { id, place, size })
    }

    /// The surplus was too small for a library that the program needs, whose thread-locals have to be at
    /// fixed offsets. (A linked program's libraries get their place before there is a surplus.)
    /// Returns the bytes of surplus to start with.
    pub(crate) fn libraries_want_more(&self) -> u64 {
        let mut state = self.state.lock();
        let wanted = state.wanted.unwrap_or(0).max(SURPLUS_OF_LIBRARIES);
        state.wanted = Some(wanted);
        wanted
    }

    /// How large the loader's surplus ([`SETTING`]) has to be, in bytes, for what was refused last to
    /// be granted to a process that does the same. `None` if nothing was refused.
    #[must_use]
    pub fn wanted(&self) -> Option<u64> {
        self.state.lock().wanted
    }

    /// Gives a block its initial values: `image`, then zeros. When this returns, every thread has
    /// them, those made later included.
    ///
    /// # Errors
    /// When a thread cannot be reached. The block stays reserved; its content is undefined.
    pub fn commit(&self, block: &TlsBlock, image: &[u8]) -> Result<(), TlsError> {
        let mut state = self.state.lock();
        let known = state.blocks.get_mut(&block.id);
        let known = known.ok_or(TlsError::UnknownBlock(block.id))?;
        if image.len() as u64 > known.size() {
            return Err(TlsError::ImageTooLarge {
                image: image.len() as u64,
                size: known.size(),
            });
        }
        let known = match known {
            Block::Piece(piece) => piece,
            Block::Module(module, _) => {
                module.write(image);
                return Ok(());
            }
        };
        let is_clean = std::mem::replace(&mut known.is_clean, false);
        let (place, start, end) = (
            Arc::clone(&known.place),
            known.start,
            known.start + known.size,
        );
        let area = state.area(&place);
        if let Some(area) = area {
            area.clean_from = area.clean_from.max(end);
        }
        if is_clean {
            return place.write(start, image);
        }
        let mut bytes = image.to_vec();
        bytes.resize((end - start) as usize, 0);
        place.write(start, &bytes)
    }

    /// Takes a block back: it can be reserved again.
    ///
    /// # Errors
    /// When it is no block.
    pub fn release(&self, block: TlsBlock) -> Result<(), TlsError> {
        let mut state = self.state.lock();
        let known = state.blocks.remove(&block.id);
        let known = known.ok_or(TlsError::UnknownBlock(block.id))?;
        match known {
            Block::Piece(piece) => {
                if let Some(area) = state.area(&piece.place) {
                    area.free.give(piece.start, piece.size);
                }
            }
            Block::Module(module, _) => {
                // The loader is called without our lock.
                drop(state);
                drop(module);
            }
        }
        Ok(())
    }
}

fn check_alignment(align: u64) -> Result<u64, TlsError> {
    let align = align.max(1);
    let max = template::ALIGNMENT;
    match align <= max && align.is_power_of_two() {
        true => Ok(align),
        false => Err(TlsError::Alignment { align, max }),
    }
}

impl Block {
    fn size(&self) -> u64 {
        match self {
            Block::Piece(piece) => piece.size,
            Block::Module(_, size) => *size,
        }
    }
}

impl State {
    fn area(&mut self, place: &Arc<Place>) -> Option<&mut Area> {
        let mut areas = self.areas.iter_mut();
        areas.find(|area| Arc::ptr_eq(&area.place, place))
    }

    fn add(&mut self, place: Place) {
        self.areas.push(Area {
            free: FreeList::new(place.size),
            place: Arc::new(place),
            clean_from: 0,
        });
    }

    /// Takes a block from an area that has room for it.
    fn take(&mut self, size: u64, align: u64) -> Option<TlsBlock> {
        // An empty block has an address of its own too.
        let taken = size.max(1);
        let (place, start, is_clean) = self.areas.iter_mut().find_map(|area| {
            let origin = area.place.tp_offset.cast_unsigned();
            let start = area.free.take(taken, align, origin)?;
            Some((Arc::clone(&area.place), start, start >= area.clean_from))
        })?;
        let tp_offset = place.tp_offset + start.cast_signed();
        let id = self.add_block(Block::Piece(Piece {
            place,
            start,
            size: taken,
            is_clean,
        }));
        let place = TlsPlace::Fixed(tp_offset);
        Some(TlsBlock { id, place, size })
    }

    /// Gives a block its number.
    fn add_block(&mut self, block: Block) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.blocks.insert(id, block);
        id
    }

    fn refuse(&mut self, size: u64, align: u64) -> TlsError {
        let padded = size.saturating_add(align + template::ALIGNMENT);
        let wanted = (self.taken + SURPLUS_DEFAULT).saturating_add(padded);
        self.wanted = Some(wanted);
        if self.areas.is_empty() {
            return TlsError::NoReserve { wanted };
        }
        TlsError::Full {
            size,
            align,
            free: self.areas.iter().map(|area| area.free.free()).sum(),
            reserve: self.areas.iter().map(|area| area.place.size).sum(),
            wanted,
        }
    }
}
