package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"tunic/directory"
	"tunic/directory/keys"
)

func newKeysFamily() *cobra.Command {
	return group(&cobra.Command{
		Use:   "family",
		Short: "declare several relays to be one operator's",
		Long: `No circuit goes through two relays of one family. Whoever runs several relays makes
a family key, once, and declares each relay with it in one of two ways: put the key
as family.key into the relay's state/keys, and the relay certifies itself; or keep
the key off the relays' machines and hand each relay a certificate.`,
		Example: `  tunic keys family create --key family.key
  cp family.key /var/lib/tunic/keys/family.key

  tunic keys family certify --key family.key --relay x1sfiNGGRLcpc-_rnS8wQyW2N3rc3E5ycdNNavofDKo`,
	}, newFamilyCreate(), newFamilyCertify(), newFamilyShow())
}

// familyFlag registers --key, which every command here needs.
func familyFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "key", "", "`file` of the family's key")
	_ = cmd.MarkFlagRequired("key")
}

func newFamilyCreate() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:     "create",
		Short:   "create a family's key",
		Example: "  tunic keys family create --key family.key",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%s is there already", path)
			}
			k := keys.GenerateFamily()
			b := keys.EncodeFamily(k)
			defer clear(b)
			if err := keys.WriteFile(path, b); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "family %v\n", directory.FamilyDigest(k.Public()))
			return nil
		},
	}
	familyFlag(cmd, &path)
	return cmd
}

func newFamilyCertify() *cobra.Command {
	var path, relay string
	var days int
	cmd := &cobra.Command{
		Use:     "certify",
		Short:   "certify that a relay is of the family",
		Long:    "Prints the line for the relay's configuration file. The relay's identity is what\n'tunic keys show' and 'tunic status' print.",
		Example: "  tunic keys family certify --key family.key --relay x1sfiNGGRLcpc-_rnS8wQyW2N3rc3E5ycdNNavofDKo --days 365",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			id, err := keys.ParseRelayID(relay)
			if err != nil {
				return usageError{fmt.Errorf("--relay: %w", err)}
			}
			if days < 1 || days > maxFamilyDays {
				return usageError{fmt.Errorf("--days: use 1 to %d", maxFamilyDays)}
			}
			k, err := readFamily(path)
			if err != nil {
				return err
			}
			now := time.Now()
			text, err := k.CertifyMember(id, now.Add(-time.Hour), now.AddDate(0, 0, days)).MarshalText() // clocks differ
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "family = [%q]\n", text)
			return nil
		},
	}
	familyFlag(cmd, &path)
	p := cmd.Flags()
	p.StringVar(&relay, "relay", "", "`identity` of the relay")
	p.IntVar(&days, "days", 365, "how many `days` the certificate serves")
	_ = cmd.MarkFlagRequired("relay")
	return cmd
}

// maxFamilyDays bounds a certificate: our choice, so that it ends some day.
const maxFamilyDays = 3650

func newFamilyShow() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "show a family as documents name it",
		Example: "  tunic keys family show --key family.key",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, err := readFamily(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "family %v\n", directory.FamilyDigest(k.Public()))
			return nil
		},
	}
	familyFlag(cmd, &path)
	return cmd
}

// maxKeyFile bounds a key file, in bytes: our choice, one has some 300.
const maxKeyFile = 4 << 10

func readFamily(path string) (*keys.FamilyKey, error) {
	b, err := keys.ReadFile(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	k, err := keys.ParseFamily(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}
