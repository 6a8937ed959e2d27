import type { GatewayConfig } from '../../config/gateway-config.ts'
import type { Tree } from '../../config/tree.ts'
import { askClock } from './ask-clock.ts'
import { askFacilitators } from './ask-facilitators.ts'
import { askGas } from './ask-gas.ts'
import { askNodes } from './ask-nodes.ts'
import { askPublicUrl } from './ask-public-url.ts'
import { askReceivers } from './ask-receiver.ts'
import { askTokens } from './ask-token.ts'
import { askUpstreams } from './ask-upstreams.ts'
import { type Finding, findingsAt } from './finding.ts'
import type { Inquiry, Question } from './inquiry.ts'
import { createNodeReports } from './nodes.ts'
import { placeOffers } from './placed-offers.ts'

/** A new question is one file and one line here. */
const QUESTIONS: readonly Question[] = [
  askFacilitators,
  askNodes,
  askGas,
  askTokens,
  askReceivers,
  askClock,
  askPublicUrl,
  askUpstreams,
]

/** No question takes more than four of these one after the other. */
const CALL_MS = 8_000

export interface OnlineOptions {
  readonly config: GatewayConfig
  readonly document: Tree
  readonly url: URL | null
  readonly requestPath: string | null
}

/** Asks everything at the same time. In the order of the questions, whoever answered first. */
export async function checkOnline(options: OnlineOptions): Promise<readonly Finding[]> {
  const { config, document } = options
  const offers = placeOffers(config, document)
  if (offers.length === 0) {
    const message = 'facilitators, chains and what buyers see: no route has a price'
    return [findingsAt('publicUrl', ['routes']).notChecked(message, 'Give one a price.')]
  }
  const reportNodes = createNodeReports(document, CALL_MS)
  const inquiry: Inquiry = { ...options, offers, reportNodes, callMs: CALL_MS }
  const found = await Promise.all(QUESTIONS.map(question => question(inquiry)))
  return found.flat()
}
