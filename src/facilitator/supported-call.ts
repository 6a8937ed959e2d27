import type { Dispatcher } from 'undici'
import type { NetworkId } from '../core/payment.ts'
import type { Credentials } from './auth/credentials.ts'
import type { Supported } from './facilitator.ts'
import { type Answer, callJson } from './json-call.ts'
import { readSupported } from './wire.ts'

/** What a service without /supported is taken to say: `exact`, in version 2. */
export function assumeSupported(networks: readonly NetworkId[]): Supported {
  const kinds = networks.map(network => ({ x402Version: 2, scheme: 'exact', network }))
  return { kinds, extensions: [], signers: {} }
}

interface AskedSupported {
  /** Where the answer was found. */
  readonly baseUrl: string
  readonly answer: Answer
  /** Null where the answer proves nothing. */
  readonly supported: Supported | null
}

/**
 * Asks what a service supports. A redirect is followed once, and only to where the service is known
 * to live too: the payments would go there next.
 */
export async function askSupported(
  dispatcher: Dispatcher,
  places: { readonly baseUrl: string; readonly otherUrls: readonly string[] },
  { credentials, timeoutMs }: { readonly credentials: Credentials; readonly timeoutMs: number },
): Promise<AskedSupported> {
  const ask = (baseUrl: string): Promise<Answer> => {
    const url = new URL(`${baseUrl}/supported`)
    const headers = credentials.headersFor({ method: 'GET', url })
    return callJson(dispatcher, { url, headers, timeoutMs })
  }
  let { baseUrl } = places
  let answer = await ask(baseUrl)
  const target = answer.status >= 300 && answer.status < 400 ? answer.location : undefined
  const leadsTo = target && URL.parse(target, `${baseUrl}/supported`)?.href
  const other = places.otherUrls.find(url => `${url}/supported` === leadsTo)
  if (other !== undefined) {
    baseUrl = other
    answer = await ask(baseUrl)
  }
  const supported = answer.status === 200 ? readSupported(answer.json) : null
  return { baseUrl, answer, supported }
}
