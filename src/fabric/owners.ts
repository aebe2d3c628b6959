/** Names of who says what of a network, and of what they say it. */

/** `folder:acme`, `api:cloud-team`; visible ASCII without spaces. */
export type Owner = string
/** `network/acme`, `site/berlin`, `region/aws-eu-west-1`, `peer/partner`: has one owner. */
export type Thing = string
/** A thing that goes from one owner to another. */
export interface Handover {
  readonly thing: Thing
  readonly from: Owner
  readonly to: Owner
}
