//! Room for the bytes of names that are copied.

/// Sizes of pieces that are given back are multiples of this.
const STEP: usize = 16;

/// Longer names have a chunk of their own.
const LONGEST_SHARED: usize = 1024;

/// Copied names, in chunks. What is given back is used again for names of about the same length.
pub(super) struct Room {
    chunks: Vec<Vec<u8>>,
    /// The chunk that new names go to.
    newest: Option<u32>,
    /// Pieces that were given back, by their size in steps: chunk and offset.
    free: Vec<Vec<(u32, u32)>>,
    free_chunks: Vec<u32>,
    /// Whether pieces are given back.
    gets_back: bool,
}

impl Room {
    pub(super) const fn new(gets_back: bool) -> Self {
        Self {
            chunks: Vec::new(),
            newest: None,
            free: Vec::new(),
            free_chunks: Vec::new(),
            gets_back,
        }
    }

    pub(super) fn chunk(&self, number: u32) -> &[u8] {
        self.chunks.get(number as usize).map_or(&[], |chunk| chunk)
    }

    /// Copies a name: the chunk's number and the offset there.
    pub(super) fn put(&mut self, name: &[u8]) -> (u32, u32) {
        if !self.gets_back {
            return self.append(name, name.len());
        }
        if name.len() > LONGEST_SHARED {
            return (self.add_chunk(name.to_vec()), 0);
        }
        let steps = name.len().div_ceil(STEP);
        if let Some((chunk, offset)) = self.free.get_mut(steps).and_then(Vec::pop) {
            let start = offset as usize;
            self.chunks[chunk as usize][start..start + name.len()].copy_from_slice(name);
            return (chunk, offset);
        }
        self.append(name, steps * STEP)
    }

    /// The piece of a name of this length is not needed any more.
    pub(super) fn take_back(&mut self, chunk: u32, offset: u32, len: u32) {
        let len = len as usize;
        if len > LONGEST_SHARED {
            self.chunks[chunk as usize] = Vec::new();
            self.free_chunks.push(chunk);
            return;
        }
        let steps = len.div_ceil(STEP);
        if self.free.len() <= steps {
            self.free.resize_with(steps + 1, Vec::new);
        }
        self.free[steps].push((chunk, offset));
    }

    /// Copies a name into the newest chunk, or into a new one when that is full.
    fn append(&mut self, name: &[u8], size: usize) -> (u32, u32) {
        let fits = |number: &u32| {
            let chunk = &self.chunks[*number as usize];
            chunk.capacity() - chunk.len() >= size
        };
        let number = match self.newest.filter(fits) {
            Some(number) => number,
            None => {
                let usual = 1024 << self.chunks.len().min(6);
                let number = self.add_chunk(Vec::with_capacity(size.max(usual)));
                self.newest = Some(number);
                number
            }
        };
        let chunk = &mut self.chunks[number as usize];
        let offset = chunk.len() as u32;
        chunk.extend_from_slice(name);
        chunk.resize(offset as usize + size, 0);
        (number, offset)
    }

    fn add_chunk(&mut self, chunk: Vec<u8>) -> u32 {
        match self.free_chunks.pop() {
            Some(number) => {
                self.chunks[number as usize] = chunk;
                number
            }
            None => {
                self.chunks.push(chunk);
                (self.chunks.len() - 1) as u32
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_back_is_used_again() {
        let mut room = Room::new(true);
        let long = vec![b'x'; 5000];
        for name in [&b""[..], b"short", b"of more than a step", &long] {
            let (chunk, offset) = room.put(name);
            for _ in 0..10_000 {
                room.take_back(chunk, offset, name.len() as u32);
                assert_eq!(room.put(name), (chunk, offset));
            }
            let start = offset as usize;
            assert_eq!(&room.chunk(chunk)[start..start + name.len()], name);
        }
        assert!(room.chunks.len() < 4);
    }
}
