//! Creates and deletes namespaces, as short-lived containers do.

use std::net::Ipv4Addr;

use tests::{place::Place, traffic::listen};

use crate::{
    NAME,
    activity::Activity,
    ordinary::{abort, pair},
    pause,
};

pub(crate) fn come_and_go(activity: &Activity<'_>) {
    while !activity.is_over() {
        let place = Place::called(NAME);
        place.run(|| {
            let listener = listen(Ipv4Addr::LOCALHOST.into(), 0);
            for number in 0..6 {
                let (client, _server) = pair(&listener);
                if number % 2 == 0 {
                    abort(&client);
                }
            }
        });
        drop(place);
        activity.done();
        pause(activity, 100);
    }
}
