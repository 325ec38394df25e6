"""The calls to SQS: one seam above three ways; client.py says which way a call takes."""
