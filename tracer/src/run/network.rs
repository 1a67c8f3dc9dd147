//! `tracer list -i` and `-r`: the network interfaces and routes that are there now.

use std::process::ExitCode;

use crate::{
    config::{NetworkConfig, NetworkList},
    facts::{context::Context, network::NetworkInterface},
    output::{
        stderr::message,
        stdout::{self, write_whole},
    },
    run::error::Error,
    source::{
        self,
        kernel::{clock, names::HostNames},
        network::{self, Places},
    },
    time::clock::Clock,
    view,
};

/// Shows the list.
pub(super) fn list(config: &NetworkConfig) -> Result<ExitCode, Error> {
    let mut names = HostNames::default();
    let netns = config.names.resolve(&mut names).map_err(source::Error::from)?.netns;
    let places = Places {
        filter: (config.all_netns || !netns.is_open()).then_some(netns),
        given: config.names.paths(),
    };
    let mut context = Context::new(Clock::new(clock::anchor()));
    let mut learn = |netns| context.names.learn_ids(0, netns, &mut names);
    let mut out = Vec::new();
    let missing = match &config.what {
        NetworkList::Interfaces { all, plan } => {
            let mut network = network::interfaces(&places).map_err(source::Error::from)?;
            network.found.retain(|interface| *all || interface.flags & NetworkInterface::UP != 0);
            network.found.iter().for_each(|interface| learn(interface.netns));
            view::network::interfaces(plan, config.has_header, &network.found, &context, &mut out);
            network.missing
        }
        NetworkList::Routes { family, plan } => {
            let network = network::routes(&places, *family).map_err(source::Error::from)?;
            network.found.iter().for_each(|route| learn(route.netns));
            view::network::routes(plan, config.has_header, &network.found, &context, &mut out);
            network.missing
        }
    };
    missing.iter().for_each(message);
    if let Some(recode) = config.recoding {
        recode(&mut out);
    }
    write_whole(&out).map_err(stdout::Error::Write)?;
    Ok(ExitCode::SUCCESS)
}
