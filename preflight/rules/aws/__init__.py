"""What AWS's control plane says of the nodes' network: which rule lets a pair talk, which route leads to S3."""
