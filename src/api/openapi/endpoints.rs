//! What each endpoint takes and answers. An endpoint without its description does not compile.

mod apps;
mod events;
mod groups;
mod ours;
mod pods;
mod running;
mod system;

use super::operation::Operation;
use crate::api::route::Endpoint;

/// The description of an endpoint, without what follows from its route.
pub(super) fn operation(endpoint: Endpoint) -> Operation {
    match endpoint {
        Endpoint::Index => system::index(),
        Endpoint::Ping => system::ping(),
        Endpoint::Metrics => system::metrics(),
        Endpoint::MetricsText => system::metrics_text(),
        Endpoint::Config => system::config(),
        Endpoint::Logging => system::logging(),
        Endpoint::ChangeLogging => system::change_logging(),
        Endpoint::Info => system::info(),
        Endpoint::Leader => system::leader(),
        Endpoint::Abdicate => system::abdicate(),
        Endpoint::Plugins => system::plugins(),
        Endpoint::OpenApi => system::openapi(),
        Endpoint::Apps => apps::all(),
        Endpoint::App => apps::show(),
        Endpoint::CreateApp => apps::create(),
        Endpoint::PutApps => apps::put_all(),
        Endpoint::PatchApps => apps::patch_all(),
        Endpoint::PutApp => apps::put(),
        Endpoint::PatchApp => apps::patch(),
        Endpoint::DeleteApp => apps::delete(),
        Endpoint::RestartApp => apps::restart(),
        Endpoint::AppVersions => apps::versions(),
        Endpoint::AppVersion => apps::version(),
        Endpoint::AppTasks => running::tasks_of_app(),
        Endpoint::KillAppTasks => running::kill_tasks_of_app(),
        Endpoint::KillAppTask => running::kill_task_of_app(),
        Endpoint::Tasks => running::tasks(),
        Endpoint::KillTasks => running::kill_tasks(),
        Endpoint::Queue => running::queue(),
        Endpoint::QueueDelay => running::reset_delay(),
        Endpoint::Deployments => running::deployments(),
        Endpoint::CancelDeployment => running::cancel_deployment(),
        Endpoint::Group => groups::show(),
        Endpoint::GroupApps => groups::apps(),
        Endpoint::GroupVersions => groups::versions(),
        Endpoint::GroupVersion => groups::version(),
        Endpoint::CreateGroup => groups::create(),
        Endpoint::PutGroup => groups::put(),
        Endpoint::PatchGroup => groups::patch(),
        Endpoint::DeleteGroup => groups::delete(),
        Endpoint::Pods => pods::all(),
        Endpoint::PodStatuses => pods::statuses(),
        Endpoint::Pod => pods::show(),
        Endpoint::PodStatus => pods::status(),
        Endpoint::PodVersions => pods::versions(),
        Endpoint::PodVersion => pods::version(),
        Endpoint::CreatePod => pods::create(),
        Endpoint::PutPod => pods::replace(),
        Endpoint::DeletePod => pods::delete(),
        Endpoint::KillPodInstances => pods::kill_instances(),
        Endpoint::KillPodInstance => pods::kill_instance(),
        Endpoint::Events => events::stream(),
        Endpoint::Callbacks => events::callbacks(),
        Endpoint::AddCallback => events::add_callback(),
        Endpoint::RemoveCallback => events::remove_callback(),
        Endpoint::OurApps => ours::apps(),
        Endpoint::OurAppStatus => ours::app_status(),
        Endpoint::KeepApp => ours::keep(),
        Endpoint::OurAppHistory => ours::history(),
        Endpoint::Watch => ours::watch(),
        Endpoint::OurInstances => ours::instances(),
        Endpoint::OurStatus => ours::status(),
        Endpoint::Uninstall => ours::uninstall(),
        Endpoint::Directory => ours::directory(),
        Endpoint::ConfirmPrune => ours::confirm_prune(),
        Endpoint::Adoption => ours::adoption(),
        Endpoint::Adopt => ours::adopt(),
        Endpoint::Disown => ours::disown(),
        Endpoint::Plan => ours::plan(),
        Endpoint::State => ours::state(),
        Endpoint::TaskFile => ours::task_file(),
    }
}
