package admission

import "tunic/directory/rules"

// A purse holds the tokens of one operator. Two rules limit what it gives out.
// Over its life it is one token for the day on which it may vouch and one more
// for each Vouch.Every days since, whether they are counted in days or in days
// served; and it is never more at once than Vouch.Stock, refilled by one in
// Vouch.Every days. Days served never get fewer, and days between vouchers do not
// change: so a voucher that was good stays good.
type purse struct {
	served int   // days
	from   int   // the first day on which it may vouch
	frozen []int // days of findings, ascending; each freezes for Vouch.FreezeFor days
	spent  int   // over its life
	stock  int   // left on the day last
	last   int   // day on which the stock was last looked at
	credit int   // days towards the next token
}

// spend takes a token for a voucher of that day. Days do not descend.
func (p *purse) spend(day int, r *rules.Rules) bool {
	v := &r.Vouch
	earned := 1 + min(p.served-v.Age, day-p.from)/v.Every
	if day < p.from || p.spent >= earned || p.isFrozen(day, v.FreezeFor) {
		return false
	}
	if p.spent == 0 {
		p.stock, p.last = v.Stock, day
	}
	p.refill(day, v)
	if p.stock == 0 {
		return false
	}
	p.stock--
	p.spent++
	return true
}

// refill adds the tokens earned since; frozen days earn none, and nor do days
// with a full stock.
func (p *purse) refill(day int, v *rules.Vouch) {
	p.credit += day - p.last - p.frozenBetween(p.last, day, v.FreezeFor)
	p.last = day
	p.stock += p.credit / v.Every
	p.credit %= v.Every
	if p.stock >= v.Stock {
		p.stock, p.credit = v.Stock, 0
	}
}

func (p *purse) isFrozen(day, freeze int) bool {
	for _, f := range p.frozen {
		if f <= day && day-f < freeze {
			return true
		}
	}
	return false
}

// frozenBetween counts the frozen days of from … to - 1.
func (p *purse) frozenBetween(from, to, freeze int) int {
	n := 0
	for _, f := range p.frozen {
		until := min(to, f+freeze)
		if begin := max(from, f); until > begin {
			n += until - begin
			from = until
		}
	}
	return n
}
