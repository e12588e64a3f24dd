//! A client of a key service, on a thread of its own: whoever asks may be on any thread, and inside another runtime.

use std::io;
use std::sync::mpsc;
use std::thread;

use bytes::Bytes as Chunk;
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::message::{self, Bytes, Call, MAX_MESSAGE};
use crate::sops::ServiceKey;

/// Why a key service does not do what it is asked. Never a part of a data key.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It cannot be reached.
    #[error("cannot reach the key service {address}: {source}")]
    Unreachable {
        /// Where it should be.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// It says no; its own words.
    #[error("{message}")]
    Refused {
        /// What it says.
        message: String,
    },
    /// It does not speak the protocol, or has gone away.
    #[error("the key service {address} gave no answer that can be read: {reason}")]
    Broken {
        /// Where it is.
        address: String,
        /// What happened.
        reason: String,
    },
}

type Reply = Result<Bytes, ClientError>;

struct Job {
    call: Call,
    message: Bytes,
    reply: mpsc::Sender<Reply>,
}

/// A connection to one key service.
pub struct Client {
    address: String,
    jobs: UnboundedSender<Job>,
}

impl Client {
    /// Connects to `unix:///PATH` or `tcp://HOST:PORT`, as in SOPS_KEYSERVICE.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`], also for any other address.
    pub fn connect(address: &str) -> Result<Self, ClientError> {
        let (jobs, received) = unbounded_channel();
        let (connected, outcome) = mpsc::channel();
        let name = address.to_owned();
        let unreachable = |source| ClientError::Unreachable { address: address.to_owned(), source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(unreachable)?;
        thread::Builder::new()
            .name("key service".to_owned())
            .spawn(move || runtime.block_on(run(name, received, connected)))
            .map_err(unreachable)?;
        let gone = || io::Error::other("its thread has ended");
        outcome.recv().map_err(|_| unreachable(gone()))?.map_err(unreachable)?;
        Ok(Self { address: address.to_owned(), jobs })
    }

    /// `data` wrapped with a key.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn encrypt(&self, key: &ServiceKey, data: &[u8]) -> Result<String, ClientError> {
        let wrapped = self.ask(Call::Encrypt, message::request(key, data))?;
        String::from_utf8(wrapped.to_vec()).map_err(|_| self.broken("what it wrapped is not text"))
    }

    /// What was wrapped with a key.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn decrypt(&self, key: &ServiceKey, wrapped: &str) -> Result<Bytes, ClientError> {
        self.ask(Call::Decrypt, message::request(key, wrapped.as_bytes()))
    }

    fn ask(&self, call: Call, message: Bytes) -> Reply {
        let (reply, answer) = mpsc::channel();
        let gone = || self.broken("the connection is closed");
        self.jobs.send(Job { call, message, reply }).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }

    fn broken(&self, reason: impl Into<String>) -> ClientError {
        ClientError::Broken { address: self.address.clone(), reason: reason.into() }
    }
}

/// Connects, and sends what is asked, several requests at once where several threads ask.
async fn run(address: String, jobs: UnboundedReceiver<Job>, connected: mpsc::Sender<io::Result<()>>) {
    let stream = match open(&address).await {
        Ok(stream) => stream,
        Err(error) => return drop(connected.send(Err(error))),
    };
    match h2::client::handshake(stream).await {
        Ok((requests, connection)) => {
            let driver = tokio::spawn(connection);
            drop(connected.send(Ok(())));
            work(&address, jobs, requests).await;
            driver.abort();
        }
        Err(error) => drop(connected.send(Err(io::Error::other(error)))),
    }
}

async fn work(address: &str, mut jobs: UnboundedReceiver<Job>, requests: SendRequest<Chunk>) {
    while let Some(job) = jobs.recv().await {
        let (requests, address) = (requests.clone(), address.to_owned());
        tokio::spawn(async move {
            let reply = match exchange(requests, &job).await {
                Ok(reply) => reply,
                Err(error) => Err(ClientError::Broken { address, reason: error.to_string() }),
            };
            // Who asked may have gone away.
            let _ = job.reply.send(reply);
        });
    }
}

async fn exchange(requests: SendRequest<Chunk>, job: &Job) -> Result<Reply, h2::Error> {
    let request = Request::post(format!("http://localhost{}", job.call.path()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .map_err(io::Error::other);
    let request = match request {
        Ok(request) => request,
        Err(error) => return Ok(Err(refused(error.to_string()))),
    };
    let mut requests = requests.ready().await?;
    let (response, mut body) = requests.send_request(request, false)?;
    body.send_data(Chunk::copy_from_slice(&message::framed(&job.message)), true)?;
    let (head, mut body) = response.await?.into_parts();
    let mut frame = Bytes::default();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        if frame.len() + chunk.len() > MAX_MESSAGE {
            return Ok(Err(refused("its answer is too long".to_owned())));
        }
        frame.extend_from_slice(&chunk);
    }
    let trailers = body.trailers().await?;
    // An error may come with no body and all in the head.
    let headers = trailers.unwrap_or(head.headers);
    if let Some(message) = failure(&headers) {
        return Ok(Err(refused(message)));
    }
    let bytes = message::unframed(&frame).and_then(message::read_response);
    Ok(bytes.ok_or_else(|| refused("its answer is none of the protocol".to_owned())))
}

fn refused(message: String) -> ClientError {
    ClientError::Refused { message }
}

/// `grpc-status` other than 0, with its message, whose bytes are percent-encoded.
fn failure(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let status = text("grpc-status").unwrap_or("without a status");
    if status == "0" {
        return None;
    }
    let message = text("grpc-message").unwrap_or_default();
    let message = url::form_urlencoded::parse(
        format!("m={}", message.replace('+', "%2B").replace('&', "%26")).as_bytes(),
    )
    .next()
    .map(|(_, message)| one_line(&message))
    .filter(|message| !message.is_empty());
    Some(message.unwrap_or_else(|| format!("gRPC status {status}")))
}

/// Messages of sops have several lines.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

async fn open(address: &str) -> io::Result<Box<dyn Stream>> {
    match address.split_once("://") {
        #[cfg(unix)]
        Some(("unix", path)) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
        Some(("tcp", address)) => Ok(Box::new(tokio::net::TcpStream::connect(address).await?)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it must be unix:///PATH or tcp://HOST:PORT")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_refusal_are_decoded() {
        let headers = |status: &str, message: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", status.parse().unwrap());
            headers.insert("grpc-message", message.parse().unwrap());
            headers
        };
        assert_eq!(failure(&headers("0", "")), None);
        assert_eq!(failure(&headers("2", "a+b %25 c%0A\td&e")).as_deref(), Some("a+b % c d&e"));
        assert_eq!(failure(&headers("5", "")).as_deref(), Some("gRPC status 5"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for address in ["", "/tmp/x", "udp://h:1", "unix:///nowhere/at/all"] {
            assert!(matches!(Client::connect(address), Err(ClientError::Unreachable { .. })), "{address}");
        }
    }
}
