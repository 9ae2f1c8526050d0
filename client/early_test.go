package client

import (
	"io"
	"testing"
	"time"

	"tunic/cell"
)

// What an application sends early reaches the exit that answers, once, whether it
// comes before BEGIN or while that is under way, and however many exits failed before.
func TestEarlyDataIsSentOnEachTry(t *testing.T) {
	for name, wait := range map[string]time.Duration{"before the request": 0, "during the first try": 10 * time.Millisecond, "during the second": 70 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
				tries := 0
				w.exit = func(string, uint16, string) (v verdict) {
					if tries++; tries < 3 {
						v = verdict{after: 20 * time.Millisecond, end: cell.EndMisc}
					}
					return v
				}
				first := make(chan []byte, 1)
				go func() { // ends at once, or after its wait
					time.Sleep(wait)
					first <- []byte("hello")
				}()
				if wait == 0 {
					time.Sleep(time.Millisecond)
				}
				conn, err := c.Dial(t.Context(), Request{Host: "example.com", Port: 80, First: first})
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				go io.WriteString(conn, ", world") // ends with the stream
				got := make([]byte, 12)
				if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello, world" {
					t.Errorf("read %q, %v", got, err)
				}
				if tries != 3 {
					t.Errorf("%d tries, want 3", tries)
				}
			})
		})
	}
}

// Early data that finds a circuit's window full costs a try, and not the request.
func TestEarlyDataInAFullWindow(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		w.full = 2
		first := make(chan []byte, 1)
		first <- []byte("hello")
		start := time.Now()
		conn, err := c.Dial(t.Context(), Request{Host: "example.com", Port: 80, First: first})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if took, most := time.Since(start), 2*firstTry+time.Second; took > most {
			t.Errorf("took %v, want two tries, %v at most", took, most)
		}
		got := make([]byte, 5)
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello" {
			t.Errorf("read %q, %v", got, err)
		}
	})
}

// What comes only after the answer is left to the application to send.
func TestLateDataIsLeft(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		first := make(chan []byte, 1)
		conn, err := c.Dial(t.Context(), Request{Host: "example.com", Port: 80, First: first})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		first <- []byte("late")
		time.Sleep(time.Second)
		if len(first) != 1 {
			t.Error("Dial has taken it after it had returned")
		}
	})
}
