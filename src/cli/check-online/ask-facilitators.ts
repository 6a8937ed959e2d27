import type { FacilitatorConfig, LocalFacilitatorConfig } from '../../config/gateway-config.ts'
import { FacilitatorUnavailableError } from '../../errors.ts'
import type { Supported } from '../../facilitator/facilitator.ts'
import { createHttpFacilitator } from '../../facilitator/http-client.ts'
import { kindFor } from '../../facilitator/kinds.ts'
import { assumeSupported } from '../../facilitator/supported-call.ts'
import type { V1Networks } from '../../facilitator/v1-translation.ts'
import { createNetworkRegistry } from '../../networks/registry.ts'
import { readV1Names } from '../../networks/v1-names.ts'
import { type Finding, findingsAt } from './finding.ts'
import type { Inquiry } from './inquiry.ts'
import { oncePer, type PlacedOffer } from './placed-offers.ts'

type Report = { readonly name: string } & (
  | {
      readonly kind: 'answers'
      /** What answered it; null where there is nobody to ask. */
      readonly how: string | null
      readonly supported: Supported
    }
  | { readonly kind: 'silent'; readonly reason: string }
)

/** Who takes which offer, as the gateway itself would read it from every `/supported`. */
export async function askFacilitators(inquiry: Inquiry): Promise<Finding[]> {
  const { config, callMs } = inquiry
  const v1Names = readV1Names(createNetworkRegistry(config.networks))
  const reports = await Promise.all(
    config.facilitators.map(one =>
      one.kind === 'local'
        ? reportLocal(one)
        : report({ ...one, timeoutMs: Math.min(one.timeoutMs, callMs) }, v1Names),
    ),
  )
  const offers = oncePer(inquiry.offers, ({ offer }) => [
    offer.requirements.network,
    offer.requirements.scheme,
    offer.transferMethod,
  ])
  return [
    ...reports.map((one, index) => judgeAnswer(one, index, reports)),
    ...offers.map(offer => judgeOffer(offer, reports, v1Names)),
  ]
}

async function report(config: FacilitatorConfig, v1Names: V1Networks): Promise<Report> {
  const { name } = config
  const facilitator = createHttpFacilitator(config, v1Names)
  try {
    const supported = await facilitator.supported()
    const how = config.quirks.supported === null ? 'answers' : null
    return { name, kind: 'answers', how, supported }
  } catch (error) {
    if (!(error instanceof FacilitatorUnavailableError)) throw error
    return { name, kind: 'silent', reason: describe(error) }
  } finally {
    await facilitator.close()
  }
}

/** Not opened: its journal belongs to the gateway. It takes what it has a network for. */
function reportLocal({ name, networks }: LocalFacilitatorConfig): Report {
  const supported = assumeSupported(networks.map(({ id }) => id))
  return { name, kind: 'answers', how: 'settles on chain itself', supported }
}

function describe(error: FacilitatorUnavailableError): string {
  const { cause } = error
  const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : ''
  return `${error.message.replace(/\.$/, '')}${code}`
}

function judgeAnswer(report: Report, index: number, all: readonly Report[]): Finding {
  const at = findingsAt('facilitators', ['facilitators', index])
  if (report.kind === 'answers') {
    if (report.how !== null) return at.ok(`${report.name} ${report.how}`)
    const message = `whether ${report.name} is up: it has no /supported`
    return at.notChecked(message, 'What it takes is as config/facilitators.yaml has it.')
  }
  const cure = 'Check its URL, its credentials, its status page and the network between.'
  return all.length === 1 ? at.problem(report.reason, cure) : at.warning(report.reason, cure)
}

function judgeOffer(
  { offer, network, path }: PlacedOffer,
  reports: readonly Report[],
  v1Names: V1Networks,
): Finding {
  const at = findingsAt('facilitators', path)
  const { requirements, transferMethod } = offer
  const what = `${requirements.scheme} on ${network.name} (${network.id}, ${transferMethod})`
  const answering = reports.filter(one => one.kind === 'answers')
  const takers = answering.filter(
    ({ supported }) => kindFor(supported, requirements, v1Names) !== null,
  )
  if (takers.length > 0) {
    const names = takers.map(({ name }) => name).join(', ')
    // The answer has schemes and networks; nothing in it tells of transfer methods.
    const doubt = transferMethod === 'permit2' ? ', who do not tell whether by Permit2' : ''
    return at.ok(`${what} is taken by ${names}${doubt}`)
  }
  if (answering.length === 0) {
    return at.notChecked(
      `whether anybody takes ${what}: no facilitator answered`,
      'See what is said of the facilitators.',
    )
  }
  const cure = `Add a facilitator that serves ${network.name}, or accept another network.`
  if (answering.length < reports.length) {
    return at.warning(`no facilitator that answered takes ${what}`, cure)
  }
  return at.problem(`no facilitator takes ${what}`, cure)
}
