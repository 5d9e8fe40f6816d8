//! The bus over which the nodes of a Cluster speak with each other: a node announces a port of ours, which
//! leads to its own as long as the node is not cut off.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// A link begins with a packet, and a packet with so many bytes about itself and its sender's name.
const SENDER: Range<usize> = 40..80;

#[derive(Debug, Clone, Default)]
pub(crate) struct Bus(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The names of the nodes, in their order.
    names: Vec<String>,
    cut_off: Option<usize>,
    links: Vec<Link>,
}

impl State {
    fn is_cut_off(&self, link: &Link) -> bool {
        let cuts = |node: usize| link.to == node || self.names[node].as_bytes() == link.from;
        self.cut_off.is_some_and(cuts)
    }
}

/// A link that carries packets from a node to another one.
#[derive(Debug)]
struct Link {
    from: Vec<u8>,
    to: usize,
    ends: [TcpStream; 2],
}

impl Link {
    fn close(&self) {
        for end in &self.ends {
            end.shutdown(Shutdown::Both).ok();
        }
    }
}

impl Bus {
    /// Leads whoever comes in there to the port of a node.
    pub(crate) fn lead(&self, door: TcpListener, node: usize, port: u16) {
        let bus = self.clone();
        std::thread::spawn(move || {
            for caller in door.incoming().flatten() {
                let bus = bus.clone();
                // A node that finds no way to another one tries again.
                std::thread::spawn(move || bus.link(caller, node, port).ok());
            }
        });
    }

    /// Tells who the nodes are, before one of them is cut off.
    pub(crate) fn know(&self, names: Vec<String>) {
        self.with(|state| state.names = names);
    }

    /// Nobody reaches that node any more, and it reaches nobody; or all reach all again.
    pub(crate) fn cut_off(&self, node: Option<usize>) {
        self.with(|state| {
            state.cut_off = node;
            state.links.iter().filter(|link| state.is_cut_off(link)).for_each(Link::close);
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn link(&self, mut caller: TcpStream, to: usize, port: u16) -> io::Result<()> {
        let mut head = [0; SENDER.end];
        caller.read_exact(&mut head)?;
        let mut node = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        let ends = [caller.try_clone()?, node.try_clone()?];
        let is_open = self.with(|state| {
            let link = Link { from: head[SENDER].to_vec(), to, ends };
            let is_open = !state.is_cut_off(&link);
            state.links.retain(|link| link.ends[0].peer_addr().is_ok());
            state.links.extend(Some(link).filter(|_| is_open));
            is_open
        });
        if !is_open {
            return Ok(());
        }
        node.write_all(&head)?;
        let (mut answers, mut listener) = (node.try_clone()?, caller.try_clone()?);
        std::thread::spawn(move || {
            io::copy(&mut answers, &mut listener).ok();
            listener.shutdown(Shutdown::Both).ok();
        });
        io::copy(&mut caller, &mut node).ok();
        node.shutdown(Shutdown::Both)
    }
}
