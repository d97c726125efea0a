package main

import (
	"flag"
	"fmt"
	"strings"

	"k8s.io/klog/v2"
)

// options are flanneld's flags. Names and defaults are upstream's, so that a
// manifest written for the public image works; flags of parts that are left
// out (etcd, other back ends) are unknown.
type options struct {
	version                   bool
	ipMasq                    bool
	ipMasqNoRandom            bool
	forwardRules              bool
	setNodeNetworkUnavailable bool
	kubeAPIURL                string
	kubeconfig                string
	annotationPrefix          string
	interfaces                list
	interfaceExprs            list
	canReach                  string
	publicIP                  string
	publicIPv6                string
	subnetFile                string
	netConf                   string
	cniConf                   string
	healthzIP                 string
	healthzPort               int
}

// list is a flag that may be given more than once.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(value string) error {
	*l = append(*l, value)

	return nil
}

func parseOptions(args []string) (options, error) {
	var (
		opts          options
		kubeSubnetMgr bool
		resync        int
	)

	flags := flag.NewFlagSet("flanneld", flag.ContinueOnError)
	flags.BoolVar(&opts.version, "version", false, "print the version and exit")
	flags.BoolVar(&kubeSubnetMgr, "kube-subnet-mgr", true, "take the node's subnet from Kubernetes; the only way there is")
	flags.BoolVar(&opts.ipMasq, "ip-masq", false, "masquerade traffic that leaves the pod network")
	flags.BoolVar(&opts.ipMasqNoRandom, "ip-masq-fully-random-disable", false, "masquerade without full port randomisation")
	flags.BoolVar(&opts.forwardRules, "iptables-forward-rules", true, "accept forwarded pod traffic")
	flags.IntVar(&resync, "iptables-resync", resyncSeconds, "accepted and not used: rules are put back every 5 seconds")
	flags.BoolVar(&opts.setNodeNetworkUnavailable, "set-node-network-unavailable", true, "clear NodeNetworkUnavailable when ready")
	flags.StringVar(&opts.kubeAPIURL, "kube-api-url", "", "Kubernetes API server; found by itself inside a pod")
	flags.StringVar(&opts.kubeconfig, "kubeconfig-file", "", "kubeconfig; not needed inside a pod")
	flags.StringVar(&opts.annotationPrefix, "kube-annotation-prefix", "flannel.alpha.coreos.com", "prefix of the node's annotations")
	flags.Var(&opts.interfaces, "iface", "link (name or address) to other nodes; the first that exists of several")
	flags.Var(&opts.interfaceExprs, "iface-regex", "regular expression for that link")
	flags.StringVar(&opts.canReach, "iface-can-reach", "", "take the link that routes to this address")
	flags.StringVar(&opts.publicIP, "public-ip", "", "address under which other nodes reach this one")
	flags.StringVar(&opts.publicIPv6, "public-ipv6", "", "IPv6 address under which other nodes reach this one")
	flags.StringVar(&opts.subnetFile, "subnet-file", "/run/flannel/subnet.env", "file to write the subnet to")
	flags.StringVar(&opts.netConf, "net-config-path", "/etc/kube-flannel/net-conf.json", "network configuration")
	flags.StringVar(&opts.cniConf, "cni-conf-path", "/etc/cni/net.d/10-flannel.conflist", "CNI configuration to write")
	flags.StringVar(&opts.healthzIP, "healthz-ip", "0.0.0.0", "address of the health endpoint")
	flags.IntVar(&opts.healthzPort, "healthz-port", 0, "port of the health endpoint, 0 for none")
	klog.InitFlags(flags)

	if err := flags.Parse(args); err != nil {
		return options{}, err
	}

	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}

	if !kubeSubnetMgr {
		return options{}, fmt.Errorf("--kube-subnet-mgr=false: this flannel has no other subnet manager")
	}

	return opts, nil
}
