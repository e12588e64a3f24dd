//! Connections that can be broken on purpose: closed before, instead of, or in the middle of a reply.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// What happens to the next bytes that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Whole,
    /// Only this many bytes of the body, then closed.
    Part(usize),
    Closed,
}

/// A hold on a connection from within a request.
#[derive(Clone, Debug)]
pub(super) struct Scissors(Arc<Mutex<Mode>>);

impl Scissors {
    fn mode(&self) -> Mode {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, mode: Mode) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = mode;
    }

    /// No reply goes out; the connection closes when one is tried.
    pub(super) fn cut(&self) {
        self.set(Mode::Closed);
    }

    /// The head and `bytes` of the body go out, then the connection closes.
    pub(super) fn cut_body_after(&self, bytes: usize) {
        self.set(Mode::Part(bytes));
    }
}

/// A connection with scissors.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    scissors: Scissors,
    /// Whether the end of what the client sends was already held back once.
    end_held: bool,
}

/// Accepts connections as [`Wire`]s.
#[derive(Debug)]
pub(super) struct Wires(pub(super) TcpListener);

impl Listener for Wires {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        loop {
            // A connection that went away before it was accepted concerns nobody else.
            if let Ok((stream, address)) = self.0.accept().await {
                let _ = stream.set_nodelay(true);
                let scissors = Scissors(Arc::new(Mutex::new(Mode::Whole)));
                return (Wire { stream, scissors, end_held: false }, address);
            }
            tokio::task::yield_now().await;
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Wires>> for Scissors {
    fn connect_info(stream: IncomingStream<'_, Wires>) -> Self {
        stream.io().scissors.clone()
    }
}

impl AsyncRead for Wire {
    /// Tells hyper of the end one turn later than it is there. A client that sends a whole request and goes away at
    /// once would otherwise be forgotten before its request was even started; GitLab handles such a request.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let ended =
            matches!(read, Poll::Ready(Ok(()))) && buf.filled().len() == before && buf.remaining() > 0;
        if ended && !self.end_held {
            self.end_held = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.scissors.mode() {
            Mode::Whole => Pin::new(&mut self.stream).poll_write(cx, buf),
            Mode::Closed => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Mode::Part(bytes) => {
                // hyper hands head and body over in one buffer, as this writer says that it takes no vectors.
                let head = buf.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
                let part = buf.get(..head + bytes).unwrap_or(buf);
                let written = Pin::new(&mut self.stream).poll_write(cx, part);
                if written.is_ready() {
                    self.scissors.cut();
                }
                written
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
