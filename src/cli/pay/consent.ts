import { EXIT_USAGE } from '../exit-code.ts'
import { type Failed, failed, usageFailure } from '../failure.ts'
import { foreignText } from '../foreign-text.ts'
import { styled, table } from '../output.ts'
import type { OutputStream } from '../surroundings.ts'
import type { Challenge } from './challenge.ts'
import { type ChosenOffer, priceText } from './choose-offer.ts'

export type Consent = { readonly kind: 'given' } | Failed

/** What a person should see before the payment is signed. */
export function offerText(
  { challenge, chosen }: { challenge: Challenge; chosen: ChosenOffer },
  url: URL,
  stream: OutputStream,
): string {
  const { offer, token, networkName } = chosen
  const rows = [
    ['Price', styled('bold', priceText(offer, token), stream)],
    ['Pay to', offer.payTo],
    ['Network', networkName === null ? offer.networkId : `${networkName} (${offer.networkId})`],
  ]
  if (challenge.description) rows.push(['For', foreignText(challenge.description)])
  if (!isProtected(url)) rows.push(['Note', 'not encrypted: others on the way can change this'])
  return table(rows)
}

/** Asks a person at a terminal, unless `--yes` said it already. */
export async function askConsent(
  chosen: ChosenOffer,
  options: { yes: boolean; canAsk: boolean },
): Promise<Consent> {
  if (options.yes) return { kind: 'given' }
  if (!options.canAsk) {
    return usageFailure(
      'not_confirmed',
      `Paying ${priceText(chosen.offer, chosen.token)} needs a yes, and there is no terminal.`,
      'Nothing was signed. Pass --yes to pay without being asked; --max still limits the price.',
    )
  }
  const { confirm } = await import('@clack/prompts')
  const message = `Pay ${priceText(chosen.offer, chosen.token)}?`
  // On standard error, so that standard output carries nothing but the body.
  const answer = await confirm({ message, initialValue: false, output: process.stderr })
  if (answer === true) return { kind: 'given' }
  return failed({
    code: 'declined',
    message: 'You declined to pay.',
    fix: 'Nothing was signed.',
    exitCode: EXIT_USAGE,
  })
}

/** TLS, or never on a wire. */
function isProtected(url: URL): boolean {
  const { hostname } = url
  return (
    url.protocol === 'https:' ||
    hostname === 'localhost' ||
    hostname === '[::1]' ||
    hostname.startsWith('127.')
  )
}
