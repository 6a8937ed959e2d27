import { readJson, serveLocally } from './json-server.ts'

export interface RpcCall {
  readonly method: string
  readonly params: readonly unknown[]
}

/** What a node answers instead: a result, an error of its own, or the end of the connection. */
export type RpcAnswer =
  | { readonly kind: 'result'; readonly result: unknown }
  | { readonly kind: 'error'; readonly code: number; readonly message: string }
  | {
      readonly kind: 'http'
      readonly status: number
      readonly body?: string
      readonly headers?: Record<string, string>
    }
  | { readonly kind: 'reset' }
  | { readonly kind: 'hang' }

export interface RpcProxy {
  readonly url: string
  readonly calls: RpcCall[]
  /** Null lets the node behind answer. */
  answer: (call: RpcCall) => RpcAnswer | null
  close(): Promise<void>
}

/** Stands before a node and answers what a test wants otherwise. */
export async function startRpcProxy(
  nodeUrl: string,
  answer: RpcProxy['answer'] = () => null,
): Promise<RpcProxy> {
  const server = await serveLocally(async (request, response) => {
    const parsed = await readJson(request)
    const call = (parsed.kind === 'json' ? parsed.value : {}) as RpcCall & { id: unknown } // from viem
    proxy.calls.push({ method: call.method, params: call.params })
    const given = proxy.answer(call)
    if (given?.kind === 'reset') return void response.destroy()
    if (given?.kind === 'hang') return
    if (given?.kind === 'http') {
      response.writeHead(given.status, { 'content-type': 'application/json', ...given.headers })
      return void response.end(given.body ?? '')
    }
    response.writeHead(200, { 'content-type': 'application/json' })
    if (given === null) return void response.end(await forward(nodeUrl, call))
    const { kind, ...rest } = given
    const said = kind === 'result' ? rest : { error: rest }
    response.end(JSON.stringify({ jsonrpc: '2.0', id: call.id, ...said }))
  })
  const proxy: RpcProxy = { url: server.url, calls: [], answer, close: server.close }
  return proxy
}

async function forward(nodeUrl: string, call: unknown): Promise<string> {
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(nodeUrl, { method: 'POST', headers, body: JSON.stringify(call) })
  return answer.text()
}
