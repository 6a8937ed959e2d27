import { foreignText } from '../foreign-text.ts'
import { readProblem } from '../pay/problem.ts'
import { type Finding, findingsAt } from './finding.ts'
import type { Inquiry } from './inquiry.ts'
import { judgeChallenge } from './judge-challenge.ts'
import { judgeCors, originOf, preflightHeaders } from './judge-cors.ts'
import { type PricedRequest, plainRequests, requestFor } from './priced-requests.ts'
import { type Asked, ask, type WebAnswer } from './web-request.ts'

const DAY_MS = 24 * 3_600_000
const CERTIFICATE_DAYS_MIN = 14
/** Of a file with thousands of routes, as many as can be asked at once. */
const REQUESTS_MAX = 20

const at = findingsAt('publicUrl', ['server', 'publicUrl'])

/** What a buyer sees who asks the public URL for what is sold there, without a payment. */
export async function askPublicUrl(inquiry: Inquiry): Promise<Finding[]> {
  const { config, url, requestPath } = inquiry
  const base = url?.href.replace(/\/$/, '') ?? config.server.publicUrl
  if (base === null) {
    const cure = 'Write server.publicUrl:, or name it with --url.'
    return [at.notChecked('what buyers see: there is no public URL', cure)]
  }
  const requests = requestsOf(inquiry)
  const [first] = requests
  if (first === undefined) return [nothingToAsk(inquiry)]
  const reached = await send(base, first, inquiry)
  if (reached.kind !== 'answer') return [noAnswer(reached, base)]
  const asked = requests.slice(0, REQUESTS_MAX)
  const judged = await Promise.all(asked.map(request => judgeRequest(request, base, inquiry)))
  const left = requests.length - asked.length
  const unasked = at.notChecked(
    `${left} more priced routes without parameters`,
    'Name one of them with --path.',
  )
  return [
    ...judgeTransport(reached, new URL(base)),
    ...judged.flat(),
    ...(left > 0 && requestPath === null ? [unasked] : []),
  ]
}

function requestsOf({ config, requestPath }: Inquiry): readonly PricedRequest[] {
  if (requestPath === null) return plainRequests(config)
  const request = requestFor(config, requestPath)
  return request === null ? [] : [request]
}

function nothingToAsk({ requestPath }: Inquiry): Finding {
  if (requestPath === null) {
    const message = 'what buyers see: every priced route has parameters, or is in shadow mode'
    return at.notChecked(message, 'Name a path that one of them takes with --path.')
  }
  const cure = 'Name a path that a priced route takes.'
  return at.problem(`no priced route takes ${JSON.stringify(requestPath)}`, cure)
}

function send(
  base: string,
  { method, target, route }: PricedRequest,
  { callMs }: Inquiry,
): Promise<Asked> {
  const origin = originOf(route)
  const headers = origin === null ? {} : { origin }
  return ask(new URL(`${base}${target}`), { method, headers, timeoutMs: callMs })
}

function noAnswer(asked: Exclude<Asked, WebAnswer>, base: string): Finding {
  const { kind, reason } = asked
  if (kind === 'unreachable') {
    const cure = 'Start the gateway, or run this check where buyers are.'
    return at.notChecked(`what buyers see: ${base} cannot be reached from here (${reason})`, cure)
  }
  if (kind === 'insecure') {
    const cure = 'Install a certificate that a public authority signed for this very name.'
    return at.problem(`TLS at ${base} is not valid (${reason}): buyers leave here`, cure)
  }
  const cure = 'See whether this is the gateway, and what stands before it.'
  return at.problem(`${base} gives no whole HTTP answer (${reason})`, cure)
}

function judgeTransport({ certificateEnds }: WebAnswer, base: URL): Finding[] {
  if (certificateEnds === null) {
    if (/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(base.hostname)) return []
    const message = 'buyers reach the gateway without TLS: anybody between can change who is paid'
    return [at.warning(message, 'Serve it over https.')]
  }
  const days = Math.floor((certificateEnds.getTime() - Date.now()) / DAY_MS)
  const ends = `the TLS certificate of ${base.host} ends in ${days} ${days === 1 ? 'day' : 'days'}`
  if (days >= CERTIFICATE_DAYS_MIN) return [at.ok(ends)]
  return [at.warning(ends, 'Renew it, and see why that did not happen by itself.')]
}

async function judgeRequest(
  request: PricedRequest,
  base: string,
  inquiry: Inquiry,
): Promise<readonly Finding[]> {
  const { route, method, target, path } = request
  const url = `${base}${target}`
  const origin = originOf(route)
  const [answer, preflight] = await Promise.all([
    send(base, request, inquiry),
    origin === null
      ? null
      : ask(new URL(url), {
          method: 'OPTIONS',
          headers: preflightHeaders(origin, method),
          timeoutMs: inquiry.callMs,
        }),
  ])
  if (answer.kind !== 'answer') return [noAnswer(answer, url)]
  if (answer.status !== 402) return [wrongStatus(answer, request)]
  // With --url, the gateway still names itself as buyers know it.
  const named = `${inquiry.config.server.publicUrl ?? base}${path}`
  const corsFindings =
    origin === null || preflight === null
      ? []
      : judgeCors({ challenge: answer, preflight }, { key: route.key, origin }, at)
  const findings = [...judgeChallenge(answer, { route, url: named }, at), ...corsFindings]
  if (findings.length > 0) return findings
  const cors = origin === null ? '' : ', CORS lets pages pay'
  return [at.ok(`${route.key}: 402 with the offers of the file, ${answer.headBytes} bytes${cors}`)]
}

function wrongStatus(answer: WebAnswer, { route }: PricedRequest): Finding {
  const { status } = answer
  const refuse = (message: string, cure: string) => at.problem(`${route.key}: ${message}`, cure)
  if (status >= 300 && status <= 399) {
    const location = answer.header('location')
    const to = location === null ? '' : ` to ${JSON.stringify(foreignText(location, 120))}`
    const cure = 'Make server.publicUrl the URL that answers: buyers follow no redirect to pay.'
    return refuse(`it answers ${status} and sends buyers on${to}`, cure)
  }
  if (status >= 200 && status <= 299) {
    const cure = 'See what stands behind this URL: it must be the gateway, not the API.'
    return refuse(`it answers ${status} without a payment: it is given away`, cure)
  }
  const problem = readProblem(answer.body ?? '')
  const code = problem === null ? '' : ` (${foreignText(problem.code, 60)})`
  const cure = 'See what the gateway logs, and what stands before it.'
  return refuse(`it answers ${status}${code} where buyers need 402`, cure)
}
