/** What must hold in every seed, whatever happens in it. */
export const RULES = {
  'transfer has its row': 'Money that a settle of ours moved is written down as settled, once.',
  'settled row has its transfer': 'What is written down as settled was moved, in full, to payTo.',
  'charged once': 'An honest client pays for one purchase once.',
  'paid before bytes': 'No priced byte leaves before its settlement is durable.',
  redeemable: 'What was paid and not delivered is given for the same payment.',
  'no 402 after a settle': 'No client is asked to pay again while its payment may have moved.',
  'released for good': 'Nothing is released that can still land.',
  'one execution': 'The upstream works for one payment once, but where its work was lost.',
  'one request': 'One payment buys the response to one request.',
  'settles what is written': 'A settle leaves after its row is durable, with exactly its bytes.',
  'everything ends': 'Once all works, every request is answered and every row becomes final.',
  'nothing left over': 'Nothing stays behind: no request, no snapshot held, no call waiting.',
  'nothing unexpected': 'No promise is left rejected, no error reported that has no cause.',
} as const

export type Rule = keyof typeof RULES
