package main

import (
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A slowNet makes the connections between nodes in this process's network namespace
// slow, under the kernel's own TCP: packets between chosen addresses or ports leave by
// a TUN device, wait here, and come back by it. (The usual tool is tc's netem, which
// many kernels lack.) Everything else goes by loopback as ever.
type slowNet struct {
	dev *os.File
	slowness

	mu     sync.Mutex         // guards what follows
	free   map[flow]time.Time // when what waits has been sent; where there is a rate
	queue  packetQueue
	change chan struct{} // room for one: the queue has a new first packet
}

// A flow is one direction of a connection.
type flow struct{ from, to netip.AddrPort }

// A slowness is what each direction of each connection suffers.
type slowness struct {
	delay time.Duration // one way
	rate  int           // bytes per second; 0: no limit
	room  int           // bytes that may wait for their turn; more are lost
}

const (
	slowDevice  = "slow0"
	slowTable   = "100"
	vnetHeader  = 10 // bytes before each packet: the kernel's notes on segments and checksums
	largePacket = vnetHeader + 64<<10
	deviceQueue = "10000" // packets
)

// newSlowNet makes the device. It needs a network namespace of its own, and rights
// over it.
func newSlowNet(s slowness) (*slowNet, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the TUN device: %w", err)
	}
	req, err := unix.NewIfreq(slowDevice)
	if err != nil {
		return nil, err
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		return nil, fmt.Errorf("make a TUN device: %w", err)
	}
	if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, unix.TUN_F_CSUM|unix.TUN_F_TSO4); err != nil {
		return nil, fmt.Errorf("set the TUN device up: %w", err)
	}
	n := &slowNet{dev: os.NewFile(uintptr(fd), slowDevice), slowness: s, free: map[flow]time.Time{}, change: make(chan struct{}, 1)}
	if err := n.configure(); err != nil {
		return nil, errors.Join(err, n.dev.Close())
	}
	go n.read()  // ends with Close
	go n.write() // likewise
	return n, nil
}

// configure has the namespace send by the device what the rules below choose, although
// its destination is local, and take it when it comes back.
func (n *slowNet) configure() error {
	for _, conf := range []string{"all", "default", slowDevice} {
		for key, value := range map[string]string{"accept_local": "1", "route_localnet": "1", "rp_filter": "0"} {
			if err := os.WriteFile("/proc/sys/net/ipv4/conf/"+conf+"/"+key, []byte(value), 0o644); err != nil {
				return err
			}
		}
	}
	return ipCommands(
		"link set lo up",
		"link set "+slowDevice+" mtu 1500 txqueuelen "+deviceQueue+" up",
		"route add default dev "+slowDevice+" src 127.0.0.1 table "+slowTable,
		"rule add pref 200 lookup local",
		"rule del pref 0",
	)
}

func ipCommands(lines ...string) error {
	for _, l := range lines {
		if out, err := exec.Command("ip", strings.Fields(l)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", l, err, out)
		}
	}
	return nil
}

// slowAddresses slows what goes to and from the addresses of 127.0.0.0/8 outside of
// 127.0.0.0/16, where each node of ours that listens has one.
func (n *slowNet) slowAddresses() error {
	rules := []string{"rule add pref 10 from 127.0.0.0/16 to 127.0.0.0/16 lookup local"}
	for bits := 16; bits > 8; bits-- { // 127.1.0.0/16, 127.2.0.0/15 … 127.128.0.0/9
		from := netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 1 << (16 - bits), 0, 0}), bits)
		rules = append(rules, "rule add pref 20 iif lo from "+from.String()+" lookup "+slowTable)
	}
	return ipCommands(append(rules,
		"rule add pref 30 to 127.0.0.0/16 lookup local",
		"rule add pref 40 iif lo to 127.0.0.0/8 lookup "+slowTable)...)
}

// slowPort slows what goes to and from one TCP port.
func (n *slowNet) slowPort(port int) error {
	return ipCommands(
		fmt.Sprintf("rule add pref 50 iif lo ipproto tcp dport %d lookup %s", port, slowTable),
		fmt.Sprintf("rule add pref 50 iif lo ipproto tcp sport %d lookup %s", port, slowTable))
}

// Close ends the device.
func (n *slowNet) Close() error { return n.dev.Close() }

// read takes what the kernel sends and decides when it arrives.
func (n *slowNet) read() {
	buf := make([]byte, largePacket)
	for {
		k, err := n.dev.Read(buf)
		if err != nil {
			return
		}
		if p := append([]byte(nil), buf[:k]...); len(p) > vnetHeader {
			n.accept(p, time.Now())
		}
	}
}

// accept queues a packet, or drops it where too many wait.
func (n *slowNet) accept(p []byte, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	sent := now
	if f, ok := flowOf(p[vnetHeader:]); ok && n.rate > 0 {
		if sent = n.free[f]; sent.Before(now) {
			sent = now
		}
		if int(sent.Sub(now).Seconds()*float64(n.rate)) > n.room {
			return
		}
		sent = sent.Add(time.Duration(len(p)) * time.Second / time.Duration(n.rate))
		n.free[f] = sent
	}
	due := sent.Add(n.delay)
	heap.Push(&n.queue, packet{p, due, n.queue.next})
	n.queue.next++
	if n.queue.packets[0].due.Equal(due) {
		select {
		case n.change <- struct{}{}:
		default:
		}
	}
}

// flowOf returns the addresses and ports of an IPv4 packet with TCP.
func flowOf(p []byte) (flow, bool) {
	if len(p) < 20 || p[0]>>4 != 4 || p[9] != unix.IPPROTO_TCP {
		return flow{}, false
	}
	tcp := int(p[0]&15) * 4
	if len(p) < tcp+4 {
		return flow{}, false
	}
	at := func(addr, port int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(p[addr:addr+4])), binary.BigEndian.Uint16(p[port:]))
	}
	return flow{at(12, tcp), at(16, tcp+2)}, true
}

// write gives the kernel what has arrived.
func (n *slowNet) write() {
	timer := time.NewTimer(0)
	for {
		select {
		case <-n.change:
		case <-timer.C:
		}
		for {
			p, wait := n.due(time.Now())
			if p == nil {
				timer.Reset(wait)
				break
			}
			if _, err := n.dev.Write(p); errors.Is(err, os.ErrClosed) {
				return
			}
		}
	}
}

// due returns the first packet if it has arrived, else how long that takes.
func (n *slowNet) due(now time.Time) ([]byte, time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.queue.packets) == 0 {
		return nil, time.Minute
	}
	if wait := n.queue.packets[0].due.Sub(now); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&n.queue).(packet).bytes, 0
}

// A packet is on its way.
type packet struct {
	bytes []byte
	due   time.Time
	n     int // in the order of their coming
}

// A packetQueue is a heap of packets, the next to arrive first.
type packetQueue struct {
	packets []packet
	next    int
}

func (q *packetQueue) Len() int { return len(q.packets) }
func (q *packetQueue) Less(i, j int) bool {
	a, b := &q.packets[i], &q.packets[j]
	return a.due.Before(b.due) || a.due.Equal(b.due) && a.n < b.n
}
func (q *packetQueue) Swap(i, j int) { q.packets[i], q.packets[j] = q.packets[j], q.packets[i] }
func (q *packetQueue) Push(x any)    { q.packets = append(q.packets, x.(packet)) }
func (q *packetQueue) Pop() any {
	last := len(q.packets) - 1
	p := q.packets[last]
	q.packets[last] = packet{}
	q.packets = q.packets[:last]
	return p
}
