import type { GatewayConfig } from '../config/gateway-config.ts'

/** What is looked at of a request to know who sends it. */
export interface Caller {
  /** The peer, or whom a trusted proxy says it speaks for. */
  readonly clientAddress: string
  /** Names in the client's certificate, where one was asked for and vouched for. */
  readonly certificateNames: readonly string[]
  /** Values of a header, in order; empty when it was not sent. `name` is in lower case. */
  readonly headerValues: (name: string) => readonly string[]
}

/** Somebody who need not pay. */
export interface KnownClient {
  readonly kind: 'known'
  readonly by: 'key' | 'jwt' | 'certificate' | 'network'
  /** Of the key, of the certificate, or the subject of the token; null where there is none. */
  readonly name: string | null
  /** Header whose secret was for us and ends here, in lower case; null: there is none. */
  readonly credential: string | null
}

/** What came as a key or token and is none. The request pays, as any other. */
export interface RefusedCredential {
  readonly kind: 'refused'
  readonly reason: CredentialFlaw
}

export type CredentialFlaw =
  | 'unknown_key'
  | 'jwt_malformed'
  | 'jwt_algorithm'
  | 'jwt_issuer'
  | 'jwt_audience'
  | 'jwt_expired'
  | 'jwt_not_yet_valid'
  | 'jwt_claim'
  | 'jwt_unknown_key'
  | 'jwt_signature'
  | 'jwks_unavailable'

/** Null: it says nothing of itself. */
export type Recognition = KnownClient | RefusedCredential | null

/** What a route says of who may come in, and who need not pay. */
export interface RouteAccess {
  denies(caller: Caller): boolean
  /** A promise only where a token has to be checked. It never rejects. */
  recognise(caller: Caller): Recognition | Promise<Recognition>
}

/** Makes the access rules of configurations, and keeps the keys of issuers from one to the next. */
export interface Access {
  /** By route key; those without any rule are missing. */
  compile(config: Pick<GatewayConfig, 'routes'>): ReadonlyMap<string, RouteAccess>
}
