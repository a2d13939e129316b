//! A listener that keeps the number of its connections and the patience with each bounded.
//!
//! A connection holds a permit until its stream is dropped; while none is left, new connections wait
//! in the kernel's backlog. A stream that moves no byte in either direction for `stall_max` while
//! something waits for it fails, which ends its connection: half a request line held open costs its
//! sender a socket and us a permit for no longer than that. An idle keep-alive connection ends the
//! same way, and its client opens another.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// Pause after a failed accept, for the same reason as on the Kafka side: a want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listener.
#[derive(Debug)]
pub struct Bounded {
    listener: TcpListener,
    permits: Arc<Semaphore>,
    stall_max: Duration,
}

impl Bounded {
    /// Over `listener`, with so many connections at a time.
    pub fn new(listener: TcpListener, connections_max: usize, stall_max: Duration) -> Self {
        Self { listener, permits: Arc::new(Semaphore::new(connections_max)), stall_max }
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Remote(pub SocketAddr);

impl Listener for Bounded {
    type Io = Impatient<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed");
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    return (Impatient::new(stream, Some(permit), self.stall_max), peer);
                }
                Err(error) => {
                    tracing::warn!(%error, "accepting an HTTP connection failed");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Bounded>> for Remote {
    fn connect_info(stream: IncomingStream<'_, Bounded>) -> Self {
        Remote(*stream.remote_addr())
    }
}

/// A stream that fails when it has not moved for too long.
#[derive(Debug)]
pub struct Impatient<T> {
    stream: T,
    deadline: Pin<Box<Sleep>>,
    stall_max: Duration,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<T> Impatient<T> {
    /// Around `stream`, with the permit it holds.
    pub fn new(stream: T, permit: Option<OwnedSemaphorePermit>, stall_max: Duration) -> Self {
        Self { stream, deadline: Box::pin(sleep_until(Instant::now() + stall_max)), stall_max, _permit: permit }
    }

    /// Movement puts the deadline off; the lack of it is looked at against the deadline.
    fn judge<R>(&mut self, context: &mut Context<'_>, moved: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if moved.is_ready() {
            self.deadline.as_mut().reset(Instant::now() + self.stall_max);
            return moved;
        }
        match self.deadline.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Impatient<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let moved = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.judge(context, moved)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Impatient<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, moved)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.judge(context, moved)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let moved = Pin::new(&mut self.stream).poll_flush(context);
        // Flushing a socket moves nothing, so it puts no deadline off.
        moved
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
