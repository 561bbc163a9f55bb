//! Bounded rings between threads: one writer, one reader, and a call that wakes the reader.
//!
//! A full ring refuses, and whoever writes decides what that means; nothing ever waits. Refuses to know: what passes.

use crate::net::wake::Waker;

/// The writing end.
#[derive(Debug)]
pub(crate) struct Sender<T> {
    ring: rtrb::Producer<T>,
    reader: Waker,
    refused: u64,
}

/// The reading end. Its thread must call `Waker::awake` before it empties its rings.
#[derive(Debug)]
pub(crate) struct Receiver<T> {
    ring: rtrb::Consumer<T>,
}

/// A ring of at most `limit` items, whose reader is woken by `reader`.
pub(crate) fn ring<T>(limit: usize, reader: &Waker) -> (Sender<T>, Receiver<T>) {
    let (producer, consumer) = rtrb::RingBuffer::new(limit);
    (Sender { ring: producer, reader: reader.clone(), refused: 0 }, Receiver { ring: consumer })
}

impl<T> Sender<T> {
    /// Puts an item and wakes the reader.
    ///
    /// # Errors
    /// The item itself, when the ring is full; counted.
    pub(crate) fn send(&mut self, item: T) -> Result<(), T> {
        match self.ring.push(item) {
            Ok(()) => {
                self.reader.wake();
                Ok(())
            }
            Err(rtrb::PushError::Full(item)) => {
                self.refused += 1;
                Err(item)
            }
        }
    }

    /// The next item will be taken. Whoever can wait asks first, and nothing is counted that is only late.
    pub(crate) fn has_room(&self) -> bool {
        !self.ring.is_full()
    }

    /// The reader is gone: whatever is sent is lost.
    pub(crate) fn ended(&self) -> bool {
        self.ring.is_abandoned()
    }

    /// Items refused so far because the ring was full.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }
}

impl<T> Receiver<T> {
    /// The oldest item, if any.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<T> {
        self.ring.pop().ok()
    }

    /// The writer is gone, and so is all it wrote.
    pub(crate) fn ended(&self) -> bool {
        self.ring.is_abandoned() && self.ring.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::epoll::{Epoll, Trigger};
    use std::thread;

    #[test]
    fn a_full_ring_refuses_and_counts() {
        let waker = Waker::new().expect("a waker");
        let (mut sender, mut receiver) = ring(2, &waker);
        assert_eq!((sender.send(1), sender.send(2), sender.send(3)), (Ok(()), Ok(()), Err(3)));
        assert_eq!((sender.refused(), sender.has_room()), (1, false));
        assert_eq!((receiver.next(), receiver.next(), receiver.next()), (Some(1), Some(2), None));
    }

    /// Three writers, one reader that sleeps without a time limit whenever its rings are empty: were a single call lost,
    /// the reader would sleep on and the count would never be complete.
    #[test]
    fn no_wake_up_is_lost() {
        const EACH: u64 = 60_000;
        let waker = Waker::new().expect("a waker");
        let mut epoll = Epoll::new(1).expect("epoll");
        epoll.add(&waker, 0, Trigger::Edge).expect("watched");
        let mut receivers = Vec::new();
        let mut writers = Vec::new();
        for _ in 0..3 {
            let (mut sender, receiver) = ring(64, &waker);
            receivers.push(receiver);
            writers.push(thread::Builder::new().spawn(move || {
                for n in 0..EACH {
                    let mut item = n;
                    while let Err(back) = sender.send(item) {
                        item = back;
                        thread::yield_now();
                    }
                }
            }));
        }
        let (mut seen, mut sleeps) = ([0u64; 3], 0u64);
        while seen.iter().sum::<u64>() < 3 * EACH {
            // Twenty seconds without a call, with items still to come, is a call lost.
            assert!(epoll.wait(20_000).expect("a wait") > 0, "a wake-up was lost after {seen:?}");
            sleeps += 1;
            waker.awake();
            for (receiver, seen) in receivers.iter_mut().zip(&mut seen) {
                while let Some(n) = receiver.next() {
                    assert_eq!(n, *seen, "in order");
                    *seen += 1;
                }
            }
        }
        for writer in writers {
            writer.expect("a thread").join().expect("a writer that ends");
        }
        assert!(sleeps > 0 && receivers.iter().all(Receiver::ended));
    }
}
