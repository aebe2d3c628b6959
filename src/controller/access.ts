/** Who may ask for what. Tokens of people and programs: only hashes are stored. */
import { createHash, randomBytes } from 'node:crypto'
import { access, type AccessRole, type Db } from './store/index.ts'

export interface Actor {
  readonly id: string
  readonly name: string
  readonly role: AccessRole
}
export type Permission = 'read' | 'invite' | 'plan' | 'operate' | 'administer'

const allowed: Readonly<Record<Permission, readonly AccessRole[]>> = {
  read: ['viewer', 'installer', 'cloud', 'operator', 'admin'],
  invite: ['installer', 'operator', 'admin'],
  plan: ['cloud', 'operator', 'admin'],
  operate: ['operator', 'admin'],
  administer: ['admin'],
}
export const may = (actor: Actor, permission: Permission): boolean => allowed[permission].includes(actor.role)
export const rolesFor = (permission: Permission): readonly AccessRole[] => allowed[permission]

const hashOf = (token: string): string => createHash('sha256').update('causeway access 1').update(token).digest('hex')

export const newAccessToken = (): string => `cwa_${randomBytes(24).toString('base64url')}`

/** Stores a token's hash; the token itself is shown once. */
export async function grant(
  db: Db,
  name: string,
  role: AccessRole,
  token = newAccessToken(),
): Promise<{ readonly id: string; readonly token: string }> {
  const id = `a-${randomBytes(6).toString('hex')}`
  await access.insert(db, { id, hash: hashOf(token), name, role })
  return { id, token }
}
export async function actorOf(db: Db, token: string): Promise<Actor | undefined> {
  const row = await access.byHash(db, hashOf(token))
  return row && { id: row.id, name: row.name, role: row.role }
}
