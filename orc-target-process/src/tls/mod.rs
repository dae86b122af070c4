//! Static thread-local storage for linked code.
//!
//! A thread-local variable of the executable lies at the same offset from every thread's pointer, so
//! code reaches it in one instruction. To give linked code such variables, the executable carries an
//! array of them, the *reserve* (`reserve.c`, behind the feature `tls-reserve`), and pieces of it
//! are given away here.
//!
//! A new thread's block of thread-locals is copied from the executable's *template*, the image that
//! its `PT_TLS` segment describes. So initial values go into the template, for threads to come, and
//! into the copy of every thread that exists (`threads`). Pieces that are given back are
//! zeroed in the same way before they are used again.
//!
//! The feature is for executables only: in a library that is opened with `dlopen`, the reserve
//! would not fit into what the loader sets aside for such libraries.

mod free_list;
mod quiet;
mod signal;
mod template;
mod thread_lists;
mod threads;

use std::collections::HashMap;
use std::io;
use std::sync::LazyLock;

use parking_lot::Mutex;

use crate::api::TlsBlock;
use free_list::FreeList;
use template::Place;

/// Why thread-local storage could not be reserved or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The executable was built without a reserve.
    #[error(
        "this executable has no room for thread-local variables of linked code: build it with \
         the feature `tls-reserve` of orc-target-process"
    )]
    NoReserve,
    /// The reserve is not where it can be used.
    #[error("internal error: the thread-local reserve cannot be used: {0}")]
    Misplaced(&'static str),
    /// Not enough is left.
    #[error(
        "no room for {size} bytes of thread-local variables aligned to {align}: {free} of \
         {reserve} bytes are free; build with ORC_TLS_RESERVE_SIZE set to more bytes"
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
    },
    /// The loader aligns the executable's thread-locals to no more than this.
    #[error("thread-local variables aligned to {align} bytes are not supported; at most {max}")]
    Alignment {
        /// Alignment asked for.
        align: u64,
        /// The largest possible.
        max: u64,
    },
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

/// The reserve of this process.
pub struct Reserve {
    place: Result<Place, TlsError>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    free: FreeList,
    next_id: u64,
    blocks: HashMap<u64, Block>,
}

#[derive(Debug)]
struct Block {
    /// Offset in the reserve.
    start: u64,
    size: u64,
    /// Whether linked code may know of it, and have written to any of its bytes.
    committed: bool,
}

impl Reserve {
    /// The one reserve that a process has, if any: without one, reserving fails.
    pub fn get() -> &'static Self {
        static RESERVE: LazyLock<Reserve> = LazyLock::new(|| {
            let place = Place::find();
            let size = place.as_ref().map_or(0, |place| place.size);
            let state = State {
                free: FreeList::new(size),
                ..State::default()
            };
            Reserve {
                place,
                state: Mutex::new(state),
            }
        });
        &RESERVE
    }

    /// Reserves `size` bytes at an offset from the thread pointer that is a multiple of `align`, a
    /// power of two. They read as zero in every thread.
    ///
    /// # Errors
    /// When there is no reserve, not enough of it, or the alignment is more than it has.
    pub fn reserve(&self, size: u64, align: u64) -> Result<TlsBlock, TlsError> {
        let place = self.place()?;
        let align = align.max(1);
        if align > template::ALIGNMENT || !align.is_power_of_two() {
            return Err(TlsError::Alignment {
                align,
                max: template::ALIGNMENT,
            });
        }
        let mut state = self.state.lock();
        // An empty block has an address of its own too.
        let taken = size.max(1);
        let start = state
            .free
            .take(taken, align, place.tp_offset.cast_unsigned());
        let start = start.ok_or_else(|| TlsError::Full {
            size,
            align,
            free: state.free.free(),
            reserve: place.size,
        })?;
        let id = state.next_id;
        state.next_id += 1;
        let block = Block {
            start,
            size: taken,
            committed: false,
        };
        state.blocks.insert(id, block);
        Ok(TlsBlock {
            id,
            tp_offset: place.tp_offset + start.cast_signed(),
            size,
        })
    }

    /// Gives a block its initial values: `image`, then zeros. When this returns, every thread has
    /// them, those made later included.
    ///
    /// # Errors
    /// When a thread cannot be reached. The block stays reserved; its content is undefined.
    pub fn commit(&self, block: &TlsBlock, image: &[u8]) -> Result<(), TlsError> {
        let place = self.place()?;
        let mut state = self.state.lock();
        let known = state.blocks.get_mut(&block.id);
        let known = known.ok_or(TlsError::UnknownBlock(block.id))?;
        if image.len() as u64 > known.size {
            return Err(TlsError::ImageTooLarge {
                image: image.len() as u64,
                size: known.size,
            });
        }
        if std::mem::replace(&mut known.committed, true) {
            let mut bytes = image.to_vec();
            bytes.resize(known.size as usize, 0);
            return place.write(known.start, &bytes);
        }
        // All its bytes are zero still.
        place.write(known.start, image)
    }

    /// Takes a block back: zeroes it in every thread, then it can be reserved again.
    ///
    /// # Errors
    /// When a thread cannot be reached. The block is then never used again.
    pub fn release(&self, block: TlsBlock) -> Result<(), TlsError> {
        let place = self.place()?;
        let mut state = self.state.lock();
        let known = state.blocks.remove(&block.id);
        let known = known.ok_or(TlsError::UnknownBlock(block.id))?;
        if known.committed {
            place.write(known.start, &vec![0; known.size as usize])?;
        }
        state.free.give(known.start, known.size);
        Ok(())
    }

    fn place(&self) -> Result<&Place, TlsError> {
        self.place.as_ref().map_err(|error| match error {
            TlsError::Misplaced(why) => TlsError::Misplaced(why),
            _ => TlsError::NoReserve,
        })
    }
}
