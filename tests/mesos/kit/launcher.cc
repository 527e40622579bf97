// mesos-cluster: real Mesos masters and agents, run out of libmesos.
//
//   mesos-cluster local  [--agents=N]   one master and N agents in this process
//   mesos-cluster master [--zk=URL]     a master; with --zk it takes part in elections
//   mesos-cluster agent  --master=WHERE N agents of the master at HOST:PORT or zk://...
//
// libmesos has one ready-made entry point: a scheduler driver for the master
// "local" starts a master and agents in its own process, configured by MESOS_*
// variables. The two other modes are that cluster with some parts exchanged
// while it is being built (see the hooks below): how the leading master is
// found, how it is elected, and where the registry is kept.
//
// There are no headers to compile against, so the few types that cross the
// border are declared here with the layout they have in libmesos 1.11.

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <new>
#include <string>

using std::string;

extern char** environ;

// ---- types of libmesos ------------------------------------------------------

template <class T>
struct Option {
  int none = 1;
  T value{};
  Option() {}
  Option(const T& v) : none(0), value(v) {}
};

template <class T>
struct Try {
  int none;
  T value;
  int noError;
  alignas(8) char error[sizeof(string)];
  ~Try() {}  // a destructor of our own: returned in memory, as the real one is
  T get(const char* what) const {
    if (none) {
      fprintf(stderr, "%s: %s\n", what, reinterpret_cast<const string*>(error)->c_str());
      exit(1);
    }
    return value;
  }
};

struct Duration {
  int64_t nanoseconds;
  static Try<Duration> parse(const string&);
};

namespace zookeeper { struct Authentication { string scheme, credentials; }; }

namespace process {
bool initialize(const Option<string>& delegate, const Option<string>&, const Option<string>&);
struct UPID {
  explicit UPID(const string&);
  char data[512];  // more than it has
};
bool wait(const UPID&, const Duration&);
}

namespace mesos {
struct Scheduler;
struct FrameworkInfo { FrameworkInfo(); };
struct MesosSchedulerDriver {
  MesosSchedulerDriver(Scheduler*, const FrameworkInfo&, const string& master);
};
namespace master {
namespace detector {
struct MasterDetector {
  static Try<MasterDetector*> create(
      const Option<string>& master, const Option<string>& module, const Option<Duration>& timeout);
};
}
namespace contender {
struct MasterContender {
  static Try<MasterContender*> create(
      const Option<string>& zk, const Option<string>& module, const Option<Duration>& timeout);
};
}
}
namespace log {
struct Log {
  Log(int quorum, const string& path, const string& servers, const Duration& timeout,
      const string& znode, const Option<zookeeper::Authentication>&, bool initialize,
      const Option<string>& metrics);
};
}
}  // namespace mesos

// ---- hooks ------------------------------------------------------------------

// libmesos calls its own functions directly, so they cannot be interposed by the
// linker. A hook overwrites the beginning of a function with a jump. To call the
// function, lift the hook: only for functions that nothing but main() calls.
class Hook {
 public:
  Hook(const char* symbol, void* replacement) {
    from_ = static_cast<char*>(dlsym(RTLD_DEFAULT, symbol));
    if (from_ == nullptr) {
      fprintf(stderr, "not the expected libmesos: no symbol %s\n", symbol);
      exit(1);
    }
    memcpy(saved_, from_, sizeof saved_);
    jump_[0] = '\x48', jump_[1] = '\xb8';  // mov $replacement, %rax
    memcpy(jump_ + 2, &replacement, 8);
    jump_[10] = '\xff', jump_[11] = '\xe0';  // jmp *%rax
    const uintptr_t page = reinterpret_cast<uintptr_t>(from_) & ~uintptr_t{4095};
    if (mprotect(reinterpret_cast<void*>(page), 8192, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) {
      perror("mprotect");
      exit(1);
    }
    set(true);
  }

  template <class R, class... Args>
  R original(Args... args) {
    struct Lift {
      Hook* hook;
      explicit Lift(Hook* h) : hook(h) { hook->set(false); }
      ~Lift() { hook->set(true); }
    } lift(this);
    return reinterpret_cast<R (*)(Args...)>(from_)(args...);
  }

 private:
  void set(bool on) { memcpy(from_, on ? jump_ : saved_, sizeof jump_); }
  char* from_;
  char saved_[12], jump_[12];
};

#define STRING "NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"

using mesos::master::contender::MasterContender;
using mesos::master::detector::MasterDetector;

static MasterDetector* detector;
static MasterContender* contender;
static Duration zkTimeout{10'000'000'000};
static string zkServers, zkPath;
static int nextAgent;
static void setAgentVariables(int agent);

// A master that does not lead just waits: that is also what the master that
// comes with the agents of an agent process does.
static Hook* masterHook;
static void newMaster(void* self, void* allocator, void* registrar, void* files, void* contender_,
                      void* detector_, void* authorizer, void* limiter, void* flags) {
  masterHook->original<void, void*, void*, void*, void*, void*, void*, void*, void*, void*>(
      self, allocator, registrar, files, contender ? contender : contender_,
      detector ? detector : detector_, authorizer, limiter, flags);
}

static Hook* agentHook;
static void newAgent(void* self, void* id, void* flags, void* detector_, void* containerizer,
                     void* files, void* gc, void* updates, void* estimator, void* qos,
                     void* secrets, void* gids, void* futures, void* csi, void* socket,
                     void* authorizer) {
  agentHook->original<void, void*, void*, void*, void*, void*, void*, void*, void*, void*, void*,
                      void*, void*, void*, void*, void*, void*>(
      self, id, flags, detector ? detector : detector_, containerizer, files, gc, updates,
      estimator, qos, secrets, gids, futures, csi, socket, authorizer);
  setAgentVariables(++nextAgent);
}

// The replicated log of a master that has no ZooKeeper is a log of its own; with
// ZooKeeper it is shared by all masters, and a majority (--quorum) has to write it.
static void newLog(void* self, int, const string& path, const void*, bool initialize,
                   const Option<string>& metrics) {
  new (self) mesos::log::Log(atoi(getenv("MESOS_QUORUM")), path, zkServers, zkTimeout,
                             zkPath + "/log_replicas", {}, initialize, metrics);
}

// A "local" agent lets tasks write to its own stdout; a real one to the sandbox.
static Hook* ioHook;
static void* newIOSwitchboard(void* result, void* flags, bool) {
  return ioHook->original<void*, void*, void*, bool>(result, flags, false);
}

// ---- configuration ----------------------------------------------------------

static void fallback(const char* name, const string& value) { setenv(name, value.c_str(), 0); }

static string variable(const char* name) {
  const char* value = getenv(name);
  return value ? value : "";
}

// "%d" in a MESOS_* variable stands for the number of the agent: the flags of
// each agent are read from the environment just before it is made.
static void setAgentVariables(int agent) {
  static std::map<string, string> patterns;
  if (agent == 0) {
    for (char** entry = environ; *entry; ++entry) {
      const string pair = *entry;
      if (pair.rfind("MESOS_", 0) == 0 && pair.find("%d") != string::npos) {
        patterns[pair.substr(0, pair.find('='))] = pair.substr(pair.find('=') + 1);
      }
    }
  }
  for (auto& [name, pattern] : patterns) {
    string value = pattern;
    for (size_t at; (at = value.find("%d")) != string::npos;) {
      value.replace(at, 2, std::to_string(agent));
    }
    setenv(name.c_str(), value.c_str(), 1);
  }
}

static void usage() {
  fprintf(stderr,
          "usage: mesos-cluster local|master|agent [--FLAG=VALUE ...]\n"
          "FLAG is a flag of mesos-master or mesos-agent, or --agents, the number of agents;\n"
          "--flag=value is the same as setting MESOS_FLAG=value.\n");
  exit(2);
}

static void parseArguments(int argc, char** argv) {
  for (int i = 2; i < argc; ++i) {
    const string argument = argv[i];
    if (argument.rfind("--", 0) != 0) usage();
    const size_t equals = argument.find('=');
    string name = "MESOS_";
    for (char c : argument.substr(2, equals == string::npos ? equals : equals - 2)) {
      name += c == '-' ? '_' : static_cast<char>(toupper(c));
    }
    if (name == "MESOS_AGENTS") name = "MESOS_NUM_SLAVES";
    if (name == "MESOS_IP") name = "LIBPROCESS_IP";
    if (name == "MESOS_PORT") name = "LIBPROCESS_PORT";
    setenv(name.c_str(), equals == string::npos ? "true" : argument.c_str() + equals + 1, 1);
  }
}

int main(int argc, char** argv) {
  const string mode = argc > 1 ? argv[1] : "";
  if (mode != "local" && mode != "master" && mode != "agent") usage();
  const bool agents = mode == "agent";
  parseArguments(argc, argv);

  fallback("LIBPROCESS_IP", "127.0.0.1");
  fallback("LIBPROCESS_PORT", agents ? "5051" : "5050");
  fallback("MESOS_HOSTNAME", "localhost");
  fallback("MESOS_WORK_DIR", "/tmp/mesos-" + mode + "-" + variable("LIBPROCESS_PORT"));
  fallback("MESOS_NUM_SLAVES", "1");
  fallback("MESOS_RESOURCES", "cpus:4;mem:4096;disk:10000;ports:[31000-32000]");
  // The programs that an agent needs to run tasks are beside this one.
  fallback("MESOS_LAUNCHER_DIR", std::filesystem::read_symlink("/proc/self/exe").parent_path() / "libexec");
  fallback("MESOS_LAUNCHER", "posix");
  fallback("MESOS_ISOLATION", "posix/cpu,posix/mem");
  fallback("MESOS_SYSTEMD_ENABLE_SUPPORT", "false");
  fallback("MESOS_HTTP_COMMAND_EXECUTOR", "true");
  fallback("MESOS_REGISTRATION_BACKOFF_FACTOR", "100ms");
  if (mode == "master") setenv("MESOS_NUM_SLAVES", "0", 1);
  if (agents) setenv("MESOS_REGISTRY", "in_memory", 1);
  fallback("MESOS_REGISTRY", getenv("MESOS_QUORUM") ? "replicated_log" : "in_memory");
  fallback("MESOS_QUORUM", "1");

  const string timeout = variable("MESOS_ZK_SESSION_TIMEOUT");
  if (!timeout.empty()) zkTimeout = Duration::parse(timeout).get("--zk_session_timeout");

  // Requests for paths without a process name go to the master or the (first)
  // agent, as they do with mesos-master and mesos-agent: /state, /api/v1, ...
  process::initialize(string(agents ? "slave(1)" : "master"), {}, {});

  if (agents) {
    const string master = variable("MESOS_MASTER");
    if (master.empty()) usage();
    detector = MasterDetector::create(master, {}, zkTimeout).get("--master");
  } else if (const string zk = variable("MESOS_ZK"); mode == "master" && !zk.empty()) {
    detector = MasterDetector::create(zk, {}, zkTimeout).get("--zk");
    contender = MasterContender::create(zk, {}, zkTimeout).get("--zk");
    const size_t servers = zk.find("://") + 3, path = zk.find('/', servers);
    zkServers = zk.substr(servers, path - servers);
    zkPath = zk.substr(path);
    new Hook("_ZN5mesos3log3LogC1EiRK" STRING "RKSt3setIN7process4UPIDESt4lessISC_ESaISC_EEbRK"
             "6OptionIS7_E", reinterpret_cast<void*>(newLog));
  }
  masterHook = new Hook(
      "_ZN5mesos8internal6master6MasterC1EPNS_9allocator9AllocatorEPNS1_9RegistrarEPNS0_5FilesE"
      "PNS_6master9contender15MasterContenderEPNSA_8detector14MasterDetectorERK6OptionIPNS_10"
      "AuthorizerEERKSH_ISt10shared_ptrIN7process11RateLimiterEEERKNS1_5FlagsE",
      reinterpret_cast<void*>(newMaster));
  agentHook = new Hook(
      "_ZN5mesos8internal5slave5SlaveC1ERK" STRING "RKNS1_5FlagsEPNS_6master8detector14"
      "MasterDetectorEPNS1_13ContainerizerEPNS0_5FilesEPNS1_16GarbageCollectorEPNS1_23"
      "TaskStatusUpdateManagerEPNS_5slave17ResourceEstimatorEPNSQ_13QoSControllerEPNS_15"
      "SecretGeneratorEPNS1_16VolumeGidManagerEPNS0_20PendingFutureTrackerEON7process5OwnedINS1_9"
      "CSIServerEEERK6OptionINS11_7network8internal6SocketINS17_4unix7AddressEEEERKS16_IPNS_10"
      "AuthorizerEE", reinterpret_cast<void*>(newAgent));
  ioHook = new Hook("_ZN5mesos8internal5slave13IOSwitchboard6createERKNS1_5FlagsEb",
                    reinterpret_cast<void*>(newIOSwitchboard));

  setAgentVariables(0);
  alignas(16) static char framework[1 << 14], driver[1 << 14];  // larger than the real objects
  new (driver) mesos::MesosSchedulerDriver(
      nullptr, *new (framework) mesos::FrameworkInfo(), "local");
  fprintf(stderr, "mesos-cluster: %s at %s:%s, work directory %s\n", mode.c_str(),
          getenv("LIBPROCESS_IP"), getenv("LIBPROCESS_PORT"), getenv("MESOS_WORK_DIR"));
  // Like mesos-agent, end with the agents: they do after SIGUSR1, or if the master tells them.
  for (int i = 1; agents && i <= atoi(getenv("MESOS_NUM_SLAVES")); ++i) {
    const string address = variable("LIBPROCESS_IP") + ":" + variable("LIBPROCESS_PORT");
    process::wait(process::UPID("slave(" + std::to_string(i) + ")@" + address), Duration{-1});
  }
  while (!agents) pause();
  _exit(0);
}
