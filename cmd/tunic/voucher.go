package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tunic/directory/keys"
)

// maxVoucherDays bounds a voucher: our choice, so that it ends some day.
const maxVoucherDays = 3650

func newKeysVoucher() *cobra.Command {
	var path, relay, out string
	var days int
	cmd := &cobra.Command{
		Use:   "voucher",
		Short: "vouch for the relay of a newcomer",
		Long: `Signs a voucher with a family's key for the relay of somebody else: who has run
relays long enough may vouch for a few newcomers, whose relays then come of age
sooner. It is counted by the day on which it is made. Should the relay be put into
quarantine, the family can vouch for nobody for a long time.

The newcomer puts it as the file voucher, of mode 0600, into the relay's state/keys.`,
		Example: `  tunic keys voucher --key family.key --relay x1sfiNGGRLcpc-_rnS8wQyW2N3rc3E5ycdNNavofDKo --out voucher
  cp voucher /var/lib/tunic/keys/voucher`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			id, err := keys.ParseRelayID(relay)
			if err != nil {
				return usageError{fmt.Errorf("--relay: %w", err)}
			}
			if days < 1 || days > maxVoucherDays {
				return usageError{fmt.Errorf("--days: use 1 to %d", maxVoucherDays)}
			}
			k, err := readFamily(path)
			if err != nil {
				return err
			}
			now := time.Now()
			text, err := k.Vouch(id, now.Add(-time.Hour), now.AddDate(0, 0, days)).MarshalText() // clocks differ
			if err != nil {
				return err
			}
			text = append(text, '\n')
			if out != "" {
				return keys.WriteFile(out, text)
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	familyFlag(cmd, &path)
	p := cmd.Flags()
	p.StringVar(&relay, "relay", "", "`identity` of the newcomer's relay")
	p.IntVar(&days, "days", 180, "how many `days` the voucher serves")
	p.StringVar(&out, "out", "", "`file` to write (default: standard output)")
	_ = cmd.MarkFlagRequired("relay")
	return cmd
}
