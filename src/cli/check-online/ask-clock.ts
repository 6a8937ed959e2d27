import type { FacilitatorConfig } from '../../config/gateway-config.ts'
import { isSold } from '../../networks/registry.ts'
import { type Finding, findingsAt } from './finding.ts'
import type { Inquiry } from './inquiry.ts'

/** How far somebody's clock is from ours; positive: ours is behind. */
interface Skew {
  readonly source: string
  readonly seconds: number
}

const WARNING_SECONDS = 5
const PROBLEM_SECONDS = 30

/**
 * Our clock against those of facilitators and chains. Payments are good for a span of time, and who
 * checks it goes by their own clock. An old block tells nothing of it: none may have come since.
 */
export async function askClock(inquiry: Inquiry): Promise<Finding[]> {
  const skews = (await Promise.all([facilitatorSkews(inquiry), chainSkews(inquiry)])).flat()
  const at = findingsAt('clock', [])
  if (skews.length === 0) {
    return [
      at.notChecked(
        'our clock: no facilitator told the time, and no node has a fresh block',
        'See what is said of facilitators and nodes.',
      ),
    ]
  }
  const off = skews.filter(({ seconds }) => Math.abs(seconds) > WARNING_SECONDS)
  if (off.length === 0) {
    const sources = skews.map(({ source }) => source).join(', ')
    return [at.ok(`our clock agrees with ${sources} within ${WARNING_SECONDS} s`)]
  }
  return off.map(({ source, seconds }) => {
    const by = `${Math.abs(Math.round(seconds))} s ${seconds > 0 ? 'behind' : 'ahead of'}`
    const message = `our clock is ${by} ${source}`
    const cure = 'Let NTP set the clock of this machine: payments are good for a span of time.'
    const isProblem = Math.abs(seconds) > PROBLEM_SECONDS
    return isProblem ? at.problem(message, cure) : at.warning(message, cure)
  })
}

async function facilitatorSkews({ config, callMs }: Inquiry): Promise<Skew[]> {
  const skews = await Promise.all(
    config.facilitators.map(one => (one.kind === 'http' ? dateSkew(one, callMs) : [])),
  )
  return skews.flat()
}

/** Any answer has a Date, so neither a key nor a good one is needed. */
async function dateSkew({ name, url }: FacilitatorConfig, callMs: number): Promise<Skew[]> {
  try {
    const askedAt = Date.now()
    const signal = AbortSignal.timeout(callMs)
    const response = await fetch(`${url}/supported`, { signal, redirect: 'manual' })
    const answeredAt = (askedAt + Date.now()) / 2
    await response.body?.cancel()
    // An answer out of a cache has the time at which it was put there.
    const isFresh = !response.headers.has('age')
    const date = Date.parse((isFresh && response.headers.get('date')) || '')
    // It has whole seconds, so the time was half a second later on average.
    const seconds = (date + 500 - answeredAt) / 1000
    return Number.isFinite(seconds) ? [{ source: `facilitator ${name}`, seconds }] : []
  } catch {
    return []
  }
}

async function chainSkews({ config, reportNodes }: Inquiry): Promise<Skew[]> {
  const networks = config.networks.filter(one => isSold(one) && one.rpc.length > 0)
  const skews = await Promise.all(
    networks.map(async network => {
      const reports = await reportNodes(network)
      return reports.flatMap(report => {
        if (report.kind !== 'answers' || report.ageSeconds > WARNING_SECONDS) return []
        return [{ source: `the newest block of ${network.name}`, seconds: -report.ageSeconds }]
      })
    }),
  )
  return skews.flat()
}
