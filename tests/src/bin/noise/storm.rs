//! Makes as many connections as one CPU can. They end with RST, so that no timewait sockets remain.

use std::net::Ipv4Addr;

use tests::{processors, traffic::listen};

use crate::{
    activity::Activity,
    ordinary::{abort, pair},
};

pub(crate) fn run(activity: &Activity<'_>) {
    processors::stay_on_one();
    let listener = listen(Ipv4Addr::new(127, 1, 0, 4).into(), 0);
    while !activity.is_over() {
        let (client, _server) = pair(&listener);
        abort(&client);
        drop(client);
        activity.done();
    }
}
