//! Makes as many connections as one CPU can. They end with RST, so that no timewait sockets remain.

use std::net::Ipv4Addr;

use tests::{processors, traffic::listen};

use crate::{
    deed::Deed,
    ordinary::{abort, pair},
};

pub(crate) fn blow(deed: &Deed<'_>) {
    processors::stay_on_one();
    let listener = listen(Ipv4Addr::new(127, 1, 0, 4).into(), 0);
    while !deed.is_over() {
        let (client, _server) = pair(&listener);
        abort(&client);
        drop(client);
        deed.done();
    }
}
