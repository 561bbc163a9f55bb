//! A packet in the buffer it was received into, with the room behind it.
//!
//! Security adds a tag behind a packet or takes one off; whoever handles a packet changes it in its place and says how long it is now.
//! Refuses to know: what the bytes are.

/// One packet.
#[derive(Debug)]
pub struct Packet<'a> {
    room: &'a mut [u8],
    length: usize,
}

impl<'a> Packet<'a> {
    /// The first `length` bytes of a buffer; no more than it has.
    pub fn new(room: &'a mut [u8], length: usize) -> Self {
        let length = length.min(room.len());
        Self { room, length }
    }

    /// A packet without room behind it.
    pub const fn whole(bytes: &'a mut [u8]) -> Self {
        let length = bytes.len();
        Self { room: bytes, length }
    }

    /// Its bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.room[..self.length]
    }

    /// Its bytes, to be changed.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.room[..self.length]
    }

    /// Makes it this long. What it grows by is what the buffer holds there.
    ///
    /// # Errors
    /// The buffer is shorter, and the packet is what it was.
    pub const fn resize(&mut self, length: usize) -> Result<(), NoRoom> {
        if length > self.room.len() {
            return Err(NoRoom);
        }
        self.length = length;
        Ok(())
    }
}

/// A buffer is too short for what is to be added to its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_into_its_room_and_no_further() {
        let mut room = [1, 2, 3, 4];
        let mut packet = Packet::new(&mut room, 2);
        assert_eq!((packet.resize(5), packet.bytes()), (Err(NoRoom), &[1, 2][..]));
        packet.resize(4).unwrap();
        packet.bytes_mut()[3] = 9;
        packet.resize(3).unwrap();
        assert_eq!(packet.bytes(), [1, 2, 3]);
        assert_eq!(room[3], 9, "what was cut off is in the buffer");
        assert_eq!(Packet::new(&mut room, 9).bytes().len(), 4);
    }
}
