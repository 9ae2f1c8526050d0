package authority

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/mod/sumdb/tlog"

	"tunic/directory"
	"tunic/directory/keys"
)

const (
	storeFile   = "authority.db"
	storeMode   = 0o600
	storeLock   = 2 * time.Second // our choice: another process holds the file, or it does not
	storeMax    = 8 << 30         // our choice: bytes; 50,000 relays and ten years of hourly checkpoints take less than 2 GiB
	keepPeriods = 8               // our choice: votes and signatures of our own kept, for sending them again
)

// Errors of the store.
var (
	// ErrInUse says that another process uses the state directory.
	ErrInUse = errors.New("another tunic uses this directory")

	errDamaged = errors.New("damaged record")
	// the next period, since nobody can know what was signed in this one
	errDamagedFile = errors.New("damaged file; put it aside, and start in the next period")
	errOtherOwn    = errors.New("something else was signed for this period")
)

// The store's buckets. A key is a time in milliseconds, an identity or a
// number, big-endian.
var (
	bucketMeta        = []byte("meta")        // by name; by name of a bucket, the newest key removed from it
	bucketVotes       = []byte("votes")       // own votes, by valid-after
	bucketSigned      = []byte("signed")      // own signed checkpoints, by valid-after
	bucketRelays      = []byte("relays")      // relayRecord, by identity
	bucketDescriptors = []byte("descriptors") // by identity
	bucketCheckpoints = []byte("checkpoints") // majority-signed ones, by place in the log

	keyHistory = []byte("history") // newest majority-signed checkpoint with its log
	keySince   = []byte("since")   // when the history of relays began
	keyWatch   = []byte("watch")   // watchState
	keySecret  = []byte("secret")  // that an authority's random numbers come from
	keyDraw    = []byte("draw")    // directory.Draw: the random values as far as they are known
)

// store keeps an authority's state in one file. What the authority is about to
// sign is in it, and on the disk, before anything is sent.
type store struct{ db *bbolt.DB }

// relayRecord is what is kept of a relay beside its descriptor.
type relayRecord struct {
	History history
	Service service
	Past    past
}

// plausible reports whether this code can have written the record by now.
func (r *relayRecord) plausible(now time.Time) bool {
	return r.History.plausible() && r.Past.plausible() && r.Service.Ageing.Plausible(dayNumber(now)+1)
}

// damage turns the panic with which bbolt answers to a file that it did not write so
// into an error. It is for what reads the store at the start, where an operator
// looks; other panics go on.
func damage(err *error) {
	switch p := recover().(type) {
	case nil:
	case string:
		*err = fmt.Errorf("%s: %w: %s", storeFile, errDamagedFile, p)
	default:
		panic(p)
	}
}

// openStore opens the store in the directory, making both where they are missing.
func openStore(dir string) (_ *store, err error) {
	defer damage(&err)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	db, err := bbolt.Open(filepath.Join(dir, storeFile), storeMode, &bbolt.Options{
		Timeout: storeLock, FreelistType: bbolt.FreelistMapType, MaxSize: storeMax,
	})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, ErrInUse
	}
	if errors.Is(err, bbolterrors.ErrInvalid) || errors.Is(err, bbolterrors.ErrChecksum) || errors.Is(err, bbolterrors.ErrVersionMismatch) {
		return nil, fmt.Errorf("%s: %w: %w", storeFile, errDamagedFile, err)
	}
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketMeta, bucketVotes, bucketSigned, bucketRelays, bucketDescriptors, bucketCheckpoints} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("state: %w", err), db.Close())
	}
	return &store{db: db}, nil
}

func (s *store) close() error { return s.db.Close() }

func timeKey(t time.Time) []byte { return binary.BigEndian.AppendUint64(nil, uint64(t.UnixMilli())) }

// once puts doc under the period unless something is there already, and returns
// what is there. Periods whose document may have been there and is not kept any
// more are refused. After it returns without an error, the result is on the disk.
func (s *store) once(bucket []byte, period time.Time, doc []byte) (kept []byte, err error) {
	err = s.db.Update(func(tx *bbolt.Tx) error {
		b, key := tx.Bucket(bucket), timeKey(period)
		if old := b.Get(key); old != nil {
			kept = append([]byte{}, old...)
			return nil
		}
		if pruned := tx.Bucket(bucketMeta).Get(bucket); pruned != nil && bytes.Compare(key, pruned) <= 0 {
			return errOtherOwn
		}
		kept = doc
		return errors.Join(b.Put(key, doc), prune(tx, bucket))
	})
	if err != nil {
		return nil, fmt.Errorf("keep before signing: %w", err)
	}
	return kept, nil
}

// prune keeps the newest entries of a bucket of own documents, and notes the
// newest that it removes.
func prune(tx *bbolt.Tx, bucket []byte) error {
	b, meta := tx.Bucket(bucket), tx.Bucket(bucketMeta)
	var kept [][]byte
	c := b.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		kept = append(kept, append([]byte{}, k...))
	}
	for len(kept) > keepPeriods {
		if pruned := meta.Get(bucket); pruned == nil || bytes.Compare(kept[0], pruned) > 0 {
			if err := meta.Put(bucket, kept[0]); err != nil {
				return err
			}
		}
		if err := b.Delete(kept[0]); err != nil {
			return err
		}
		kept = kept[1:]
	}
	return nil
}

// own returns what once put under the period, nil if nothing.
func (s *store) own(bucket []byte, period time.Time) (doc []byte, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		if v := tx.Bucket(bucket).Get(timeKey(period)); v != nil {
			doc = append([]byte{}, v...)
		}
		return nil
	})
	return doc, err
}

// meta returns what is kept under a name, nil if nothing.
func (s *store) meta(name []byte) (doc []byte, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		if v := tx.Bucket(bucketMeta).Get(name); v != nil {
			doc = append([]byte{}, v...)
		}
		return nil
	})
	return doc, err
}

// putMeta keeps doc under a name.
func (s *store) putMeta(name, doc []byte) error {
	return s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Put(name, doc) })
}

// loadRelays reads all relays into the registry.
func (s *store) loadRelays(g *registry, now time.Time) (skipped int, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		if v := tx.Bucket(bucketMeta).Get(keySince); len(v) == 8 {
			g.since = time.UnixMilli(int64(binary.BigEndian.Uint64(v)))
		}
		descriptors := tx.Bucket(bucketDescriptors)
		return tx.Bucket(bucketRelays).ForEach(func(k, v []byte) error {
			var rec relayRecord
			err := json.Unmarshal(v, &rec)
			rec.Service.notAfter(now)
			if len(k) != keys.PublicSize || err != nil || !rec.plausible(now) {
				skipped++
				return nil
			}
			id := keys.RelayID(k)
			raw := append([]byte(nil), descriptors.Get(k)...)
			if !g.restore(id, rec, raw, now) {
				skipped++
			}
			return nil
		})
	})
	return skipped, err
}

// saveRelays writes what has changed since the last time.
func (s *store) saveRelays(g *registry) error {
	changed := g.takeDirty()
	err := s.db.Update(func(tx *bbolt.Tx) error {
		since := binary.BigEndian.AppendUint64(nil, uint64(g.since.UnixMilli()))
		if err := tx.Bucket(bucketMeta).Put(keySince, since); err != nil {
			return err
		}
		for _, r := range changed {
			if err := saveRelay(tx, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		g.putDirty(changed)
		return fmt.Errorf("save relays: %w", err)
	}
	return nil
}

func saveRelay(tx *bbolt.Tx, r savedRelay) error {
	relays, descriptors := tx.Bucket(bucketRelays), tx.Bucket(bucketDescriptors)
	if r.change&changedGone != 0 {
		return errors.Join(relays.Delete(r.id[:]), descriptors.Delete(r.id[:]))
	}
	if r.change&changedDescriptor != 0 {
		if err := saveDescriptor(descriptors, r); err != nil {
			return err
		}
	}
	doc, err := json.Marshal(r.rec)
	if err != nil {
		return err
	}
	return relays.Put(r.id[:], doc)
}

func saveDescriptor(b *bbolt.Bucket, r savedRelay) error {
	if r.raw == nil {
		return b.Delete(r.id[:])
	}
	return b.Put(r.id[:], r.raw)
}

// historyRecord is a directory.History on the disk.
type historyRecord struct {
	Signed []byte
	Peaks  []tlog.Hash
}

// saveHistory keeps the newest majority-signed checkpoint with its log, and the
// checkpoint itself as a leaf of the log.
func (s *store) saveHistory(h *directory.History) error {
	signed, err := h.Signed.Encode()
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	doc, err := json.Marshal(historyRecord{Signed: signed, Peaks: h.Peaks})
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	err = s.db.Update(func(tx *bbolt.Tx) error {
		place := binary.BigEndian.AppendUint64(nil, uint64(h.Signed.Checkpoint.Size))
		return errors.Join(tx.Bucket(bucketMeta).Put(keyHistory, doc), tx.Bucket(bucketCheckpoints).Put(place, signed))
	})
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	return nil
}

// loadHistory returns what saveHistory kept, nil if nothing.
func (s *store) loadHistory(n *directory.Network) (*directory.History, error) {
	var doc []byte
	err := s.db.View(func(tx *bbolt.Tx) error {
		doc = append(doc, tx.Bucket(bucketMeta).Get(keyHistory)...)
		return nil
	})
	if err != nil || doc == nil {
		return nil, err
	}
	var rec historyRecord
	if err := json.Unmarshal(doc, &rec); err != nil {
		return nil, fmt.Errorf("%w: checkpoint", errDamaged)
	}
	signed, err := directory.ParseSignedCheckpoint(rec.Signed)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	h := &directory.History{Signed: *signed, Peaks: rec.Peaks}
	if err := h.Verify(n); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return h, nil
}

// checkpoint returns the signed checkpoint at a place in the log, nil if it is
// not here.
func (s *store) checkpoint(place uint64) (signed []byte, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		if v := tx.Bucket(bucketCheckpoints).Get(binary.BigEndian.AppendUint64(nil, place)); v != nil {
			signed = append([]byte{}, v...)
		}
		return nil
	})
	return signed, err
}
