package client_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"tunic/client"
	"tunic/directory"
)

// A program that fetches a page through the network.
func Example() {
	file, err := os.ReadFile("network.toml")
	if err != nil {
		log.Fatal(err)
	}
	network, err := directory.ParseNetwork(file)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.Open(ctx, client.Config{Network: network, StateDir: "state"})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	web := http.Client{Transport: &http.Transport{DialContext: c.DialContext}}
	page, err := web.Get("https://example.org/")
	if err != nil {
		log.Fatal(err)
	}
	defer page.Body.Close()
	_, _ = io.Copy(os.Stdout, page.Body)
}

// Streams with different isolation keys never share a circuit.
func ExampleClient_Dial() {
	var c *client.Client // from client.Open
	conn, err := c.Dial(context.Background(), client.Request{Host: "example.org", Port: 443, Isolation: "work"})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	hops, _ := client.CircuitHops(conn)
	for _, h := range hops {
		fmt.Println(h.Nickname)
	}
}
