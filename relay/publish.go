package relay

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
	"tunic/directory/mirror"
)

const ( // our choice
	uploadTimeout = 20 * time.Second
	// checkEvery is how often the relay looks whether its bandwidth is news.
	checkEvery = time.Hour
)

// A publisher keeps the relay in the authorities' hands.
type publisher struct {
	kick chan struct{} // holds one: look whether there is news

	mu        sync.Mutex // guards what follows
	addrs     []netip.AddrPort
	reachable bool
	problem   string
	last      publication
	accepted  map[keys.RelayID]bool // of the newest descriptor
	twin      bool                  // another process runs with the same keys, it seems
}

func (p *publisher) poke() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// stand is what Status shows.
func (p *publisher) stand() (addrs []netip.AddrPort, reachable bool, problem string, at time.Time, accepted int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addrs, p.reachable, p.problem, p.last.at, len(p.accepted)
}

func (p *publisher) hasTwin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.twin
}

// published returns the addresses that the relay has published or will.
func (p *publisher) published() []netip.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]netip.Addr, len(p.addrs))
	for i, a := range p.addrs {
		out[i] = a.Addr()
	}
	return out
}

// trouble notes what keeps the relay from being published, and logs it once.
func (r *Relay) trouble(problem string) {
	p := &r.publish
	p.mu.Lock()
	news := problem != p.problem
	p.problem = problem
	p.reachable = problem == ""
	p.mu.Unlock()
	if news && problem != "" {
		r.log.Warn("not published", slog.String("problem", problem))
	}
}

// uploads is the uploads of one descriptor. Owned by keepPublished.
type uploads struct {
	cancel  context.CancelFunc
	running sync.WaitGroup // one per authority that does not have it yet
}

// stop gives them up and waits for them.
func (u *uploads) stop() {
	if u.cancel != nil {
		u.cancel()
	}
	u.running.Wait()
}

// restart gives up the uploads under way and returns the context of new ones.
func (u *uploads) restart(parent context.Context) context.Context {
	u.stop()
	ctx, cancel := context.WithCancel(parent)
	u.cancel = cancel
	return ctx
}

// keepPublished publishes the relay whenever there is a reason to, until ctx
// ends. An upload that is under way when there is news again is given up.
func (r *Relay) keepPublished(ctx context.Context) {
	var u uploads
	defer u.stop()
	for {
		updated := r.updated()
		addrs, ok := r.reach(ctx)
		if !ok {
			return
		}
		again := r.publishNews(ctx, &u, addrs)
		r.lookForTwin(addrs)
		if !r.wait(ctx, updated, again) {
			return
		}
	}
}

// publishNews publishes a descriptor if there is a reason, and returns when to
// look again.
func (r *Relay) publishNews(ctx context.Context, u *uploads, addrs []netip.AddrPort) (again time.Time) {
	now := time.Now()
	d, err := r.describe(addrs, now)
	if err == nil {
		var why string
		if why, again = r.due(d, now); why == "" {
			return earlier(again, now.Add(checkEvery))
		}
		err = r.upload(u.restart(ctx), u, d, why)
	}
	if err != nil {
		r.trouble("no descriptor: " + err.Error())
		return now.Add(maxRetry)
	}
	return now.Add(checkEvery)
}

// lookForTwin tells the operator once of another process with the same keys: each of
// the two descriptors takes the other's place, and neither knows.
func (r *Relay) lookForTwin(addrs []netip.AddrPort) {
	p := &r.publish
	p.mu.Lock()
	was, taken := p.twin, len(p.accepted) >= r.cfg.Network.Majority()
	p.twin = taken && p.last.twin(r.view.usable(time.Now()), r.id, addrs)
	news := p.twin && !was
	p.mu.Unlock()
	if news {
		r.log.Warn("the consensus lists this relay at another address: does another process run with the same keys?")
	}
}

// updated returns a channel that is closed when the consensus changes; nil, which
// never is, when the relay does not follow it.
func (r *Relay) updated() <-chan struct{} {
	if r.cache == nil {
		return nil
	}
	return r.cache.Updated()
}

// wait waits for news, and reports whether ctx lasted.
func (r *Relay) wait(ctx context.Context, updated <-chan struct{}, until time.Time) bool {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-t.C:
	case <-updated:
	case <-r.publish.kick:
	case <-ctx.Done():
		return false
	}
	return true
}

// due says why to publish d, "" if there is no reason, and when to ask again.
func (r *Relay) due(d *directory.Descriptor, now time.Time) (why string, again time.Time) {
	s := situation{content: content(d), observed: d.Observed, uptime: d.Uptime, consensus: r.view.usable(now)}
	s.listed = s.consensus != nil && s.consensus.Relay(r.id) != nil
	r.publish.mu.Lock()
	defer r.publish.mu.Unlock()
	return r.publish.last.due(s, now)
}

// upload signs d and begins to send it to every authority, to each until it takes
// it or ctx ends.
func (r *Relay) upload(ctx context.Context, u *uploads, d *directory.Descriptor, why string) error {
	key, _ := r.cfg.Keys.Signing()
	doc, err := d.Sign(key)
	if err != nil {
		return err
	}
	p := &r.publish
	p.mu.Lock()
	p.last = publication{at: d.Published, content: content(d), observed: d.Observed}
	p.accepted = make(map[keys.RelayID]bool)
	p.mu.Unlock()
	r.log.Info("publishing", slog.String("reason", why))
	for i := range r.cfg.Network.Authorities {
		a := &r.cfg.Network.Authorities[i]
		u.running.Go(func() { r.uploadTo(ctx, a, d, doc) }) // ends when taken, or with ctx
	}
	return nil
}

// uploadTo sends a descriptor to one authority until it takes it.
func (r *Relay) uploadTo(ctx context.Context, a *directory.Authority, d *directory.Descriptor, doc []byte) {
	pause := r.retries(time.Now())
	for {
		err := r.offer(ctx, a, doc)
		switch {
		case err == nil:
			r.taken(a, d)
			return
		case ctx.Err() != nil:
			return
		}
		r.log.Log(ctx, levelOf(err), "descriptor not taken", slog.String("authority", a.Name), slog.Any("error", err))
		if !sleep(ctx, pause.next()) {
			return
		}
	}
}

func (r *Relay) offer(ctx context.Context, a *directory.Authority, doc []byte) error {
	ctx, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	return r.ask(a).Publish(ctx, doc)
}

// levelOf says how loud to complain: an authority that answers and refuses has a
// reason that the operator should read.
func levelOf(err error) slog.Level {
	if _, ok := errors.AsType[*mirror.StatusError](err); ok {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// taken notes that an authority has the descriptor d. From a majority on, its
// keys count as published.
func (r *Relay) taken(a *directory.Authority, d *directory.Descriptor) {
	p := &r.publish
	p.mu.Lock()
	p.accepted[a.ID] = true
	n := len(p.accepted)
	p.mu.Unlock()
	if n != r.cfg.Network.Majority() {
		return
	}
	if err := r.cfg.Keys.Published(d.Link.Subject, d.Circuit.Subject, time.Now()); err != nil {
		r.log.Error("keys not marked as published", slog.Any("error", err))
	}
	r.log.Info("published", slog.Int("authorities", n))
}
