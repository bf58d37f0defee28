package release

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// readPublish is [address:][host port:]container port[/protocol] or target=…,published=…,protocol=…, with ranges: one entry
// for each port of the container, in the shortest form.
func readPublish(s string) ([]string, error) {
	bad := func(why string) ([]string, error) {
		return nil, fmt.Errorf("is [address:][host port:]container port[/protocol], such as \"127.0.0.1:8080:80\", not %q: %s", s, why)
	}
	text, err := shortPublish(s)
	if err != nil {
		return bad(err.Error())
	}
	address, hostPorts, ports := publishParts(text)
	ports, protocol, err := portProtocol(ports)
	if err != nil {
		return bad(err.Error())
	}
	if address, err = publishAddress(address); err != nil {
		return bad(err.Error())
	}
	first, last, err := portRange(ports)
	if err != nil {
		return bad(err.Error())
	}
	var firstHost, lastHost int
	if hostPorts != "" {
		if firstHost, lastHost, err = portRange(hostPorts); err != nil {
			return bad(err.Error())
		}
		if last-first != lastHost-firstHost && first != last {
			return bad("the two ranges are of different length")
		}
	}
	var all []string
	for port := first; port <= last; port++ {
		host := ""
		switch {
		case hostPorts == "":
		case first == last && firstHost != lastHost: // any of these, as the engine likes
			host = fmt.Sprintf("%d-%d", firstHost, lastHost)
		default:
			host = strconv.Itoa(firstHost + port - first)
		}
		all = append(all, publishText(address, host, strconv.Itoa(port), protocol))
	}
	return all, nil
}

// shortPublish turns docker's long form into the short one.
func shortPublish(s string) (string, error) {
	if !strings.Contains(s, "=") {
		return s, nil
	}
	part := map[string]string{"protocol": "tcp"}
	for _, field := range strings.Split(s, ",") {
		name, value, found := strings.Cut(field, "=")
		if _, known := part[name]; !found || known && name != "protocol" || name != "protocol" && name != "target" && name != "published" {
			return "", errors.New("the long form is target=…, published=… and protocol=…, each once")
		}
		part[name] = value
	}
	return part["published"] + ":" + part["target"] + "/" + part["protocol"], nil
}

func publishParts(s string) (address, host, port string) {
	parts := strings.Split(s, ":")
	n := len(parts)
	switch n {
	case 1:
		return "", "", s
	case 2:
		return "", parts[0], parts[1]
	}
	return strings.Join(parts[:n-2], ":"), parts[n-2], parts[n-1] // an IPv6 address has colons of its own
}

func portProtocol(s string) (ports, protocol string, err error) {
	ports, protocol, given := strings.Cut(s, "/")
	if protocol = strings.ToLower(protocol); !given || protocol == "" {
		protocol = "tcp"
	}
	if protocol != "tcp" && protocol != "udp" && protocol != "sctp" {
		return "", "", fmt.Errorf("the protocol %q is none of tcp, udp and sctp", protocol)
	}
	return ports, protocol, nil
}

func publishAddress(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil || address.Zone() != "" {
		return "", fmt.Errorf("%q is no IP address", s)
	}
	return address.String(), nil
}

func portRange(s string) (first, last int, err error) {
	low, high, ranged := strings.Cut(s, "-")
	if !ranged {
		high = low
	}
	first, err = portNumber(low)
	if err != nil {
		return 0, 0, err
	}
	last, err = portNumber(high)
	if err == nil && last < first {
		err = fmt.Errorf("the range %s goes backwards", s)
	}
	return first, last, err
}

func portNumber(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > highestPort || s[0] == '+' || s[0] == '-' {
		return 0, fmt.Errorf("%q is no port", s)
	}
	return n, nil
}

// publishText is the shortest form of a published port.
func publishText(address, host, port, protocol string) string {
	if strings.Contains(address, ":") {
		address = "[" + address + "]"
	}
	text := port
	switch {
	case address != "":
		text = address + ":" + host + ":" + port
	case host != "":
		text = host + ":" + port
	}
	if protocol != "tcp" {
		text += "/" + protocol
	}
	return text
}

// readExpose is port[-port][/protocol]: one entry a port, with its protocol, as the engine has them.
func readExpose(s string) ([]string, error) {
	ports, protocol, err := portProtocol(s)
	var first, last int
	if err == nil {
		first, last, err = portRange(ports)
	}
	if err != nil {
		return nil, fmt.Errorf("is a port or a range of ports, such as \"9000\" or \"9000-9010/udp\", not %q: %w", s, err)
	}
	var all []string
	for port := first; port <= last; port++ {
		all = append(all, fmt.Sprintf("%d/%s", port, protocol))
	}
	return all, nil
}

// readHost is name:address, or name=address; host-gateway is the address of the host itself.
func readHost(s string) (string, error) {
	name, address, found := strings.Cut(s, "=")
	if !found {
		name, address, found = strings.Cut(s, ":")
	}
	if len(address) > 2 && address[0] == '[' && address[len(address)-1] == ']' {
		address = address[1 : len(address)-1]
	}
	ip, err := netip.ParseAddr(address)
	if !found || name == "" || strings.ContainsAny(name, ": \t") || address != "host-gateway" && (err != nil || ip.Zone() != "") {
		return "", fmt.Errorf("is name:address, such as \"db:10.0.0.5\" or \"host.docker.internal:host-gateway\", not %q", s)
	}
	return name + ":" + address, nil
}

func readAddress(s string) (string, error) {
	address, err := netip.ParseAddr(strings.TrimSpace(s))
	if err != nil || address.Zone() != "" {
		return "", fmt.Errorf("is an IP address, not %q", s)
	}
	return address.String(), nil
}

func readIPv4(s string) (string, error) {
	address, err := netip.ParseAddr(s)
	if err != nil || !address.Is4() {
		return "", fmt.Errorf("is an IPv4 address such as \"172.30.100.104\", not %q", s)
	}
	return address.String(), nil
}

func readIPv6(s string) (string, error) {
	address, err := netip.ParseAddr(s)
	if err != nil || !address.Is6() || address.Zone() != "" {
		return "", fmt.Errorf("is an IPv6 address such as \"2001:db8::33\", not %q", s)
	}
	return address.String(), nil
}

var macAddress = regexp.MustCompile(`\A[0-9a-f]{2}(?::[0-9a-f]{2}){5}\z`)

func readMAC(s string) (string, error) {
	canonical := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(s)), "-", ":")
	if !macAddress.MatchString(canonical) {
		return "", fmt.Errorf("is a MAC address such as \"92:d0:c6:0a:29:33\", not %q", s)
	}
	return canonical, nil
}

// readLink is container[:name].
func readLink(s string) (string, error) {
	container, name, named := strings.Cut(s, ":")
	if !named {
		name = container
	}
	if container == "" || name == "" || strings.ContainsAny(container+name, ": \t/") {
		return "", fmt.Errorf("is container[:name], not %q", s)
	}
	if name == container {
		return container, nil
	}
	return container + ":" + name, nil
}

var searchDomain = regexp.MustCompile(`\A[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*\z`)

// readSearch is a domain; "." is none at all.
func readSearch(s string) (string, error) {
	canonical := strings.Trim(s, " ")
	if canonical == "." {
		return canonical, nil
	}
	canonical = strings.TrimSuffix(canonical, ".")
	if len(canonical) > 254 || !searchDomain.MatchString(canonical) || !strings.ContainsAny(strings.ToLower(canonical), "abcdefghijklmnopqrstuvwxyz") {
		return "", fmt.Errorf("is a domain such as \"corp.example.com\", not %q", s)
	}
	return canonical, nil
}
